"""The TLS of a gateway: its contexts, made once, and given a renewed certificate as it comes."""

import ssl
from pathlib import Path
from typing import Any

import msgspec

from edgefn.access.tls import (
    FLEET_NAME,
    PEER_PROTOCOL,
    fleet_context,
    load_pair,
    server_context,
)


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Where certificates are; an empty path: there is none.

    Attributes:
        certificate: Private key and certificate of the box in its fleet.
        fleet: Certificate of the fleet's authority.
        own_certificate: That an operator gave for callers, instead of that of the fleet.
        own_key: Private key of that.
    """

    certificate: str = ""
    fleet: str = ""
    own_certificate: str = ""
    own_key: str = ""


class FleetTls:
    """The contexts of one gateway.

    Attributes:
        server: For callers and peers that arrive.
        dial: For peers that are dialled; None without a fleet.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Reads the certificates.

        Raises:
            ConfigError: A file cannot be read, or is none of its kind.
        """
        self._certificate = Path(files.certificate) if files.certificate else None
        fleet = Path(files.fleet) if files.fleet else None
        self._shown: list[ssl.SSLContext] = []
        self.dial: ssl.SSLContext | None = None
        if self._certificate is not None and fleet is not None:
            self.server = server_context(self._certificate, fleet=fleet)
            self.dial = fleet_context(fleet, self._certificate, protocol=PEER_PROTOCOL)
            self._shown = [self.server, self.dial]
        if files.own_certificate:
            self._show_own(Path(files.own_certificate), Path(files.own_key), fleet)

    def reload(self) -> None:
        """Shows the renewed certificate from the next handshake on.

        Raises:
            ConfigError: It cannot be read.
        """
        for context in self._shown:
            assert self._certificate is not None
            load_pair(context, self._certificate)

    def _show_own(self, certificate: Path, key: Path, fleet: Path | None) -> None:
        """Shows the operator's certificate to all but boxes of the fleet."""
        own = server_context(certificate, key=key, fleet=fleet)
        if fleet is not None:
            for_fleet = self.server

            def choose(stream: Any, name: str | None, _: ssl.SSLContext) -> None:
                if name == FLEET_NAME:
                    stream.context = for_fleet

            own.sni_callback = choose
        self.server = own
