"""TLS as it is spoken here: version 1.2 or later, and certificates always verified."""

import ssl
from pathlib import Path
from typing import Final

from edgefn.access.identity import identity_of
from edgefn.errors import ConfigError

PEER_PROTOCOL: Final = "edgefn-peer/1"  # in ALPN: links of gateways share the port of HTTPS
HTTP_PROTOCOL: Final = "http/1.1"
FLEET_NAME: Final = "fleet.edgefn.internal"  # in SNI: who asks wants the certificate of the fleet


def server_context(
    certificate: Path, *, key: Path | None = None, fleet: Path | None = None
) -> ssl.SSLContext:
    """Returns how a box answers.

    Args:
        certificate: File of its certificate, with its private key unless `key` has that.
        key: File of the private key.
        fleet: Certificate of the authority whose certificates may be shown; None: none may.

    Raises:
        ConfigError: A file cannot be read, or they do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    load_pair(context, certificate, key)
    if fleet is not None:
        _trust(context, fleet)
        # Callers with a key show none. One that is shown and not of this fleet ends the handshake.
        context.verify_mode = ssl.CERT_OPTIONAL
    protocols = [HTTP_PROTOCOL] if fleet is None else [PEER_PROTOCOL, HTTP_PROTOCOL]
    context.set_alpn_protocols(protocols)
    return context


def fleet_context(
    fleet: Path | str, certificate: Path | None = None, *, protocol: str = HTTP_PROTOCOL
) -> ssl.SSLContext:
    """Returns how a box speaks to another one of its fleet.

    Host names are not compared: who answers is told by `identity.identity_of`, which is for the
    caller to check.

    Args:
        fleet: Certificate of the authority, a file or the text itself.
        certificate: File of the private key and certificate to show; None: none yet.
        protocol: That is to be spoken.

    Raises:
        ConfigError: A file cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    _harden(context)
    _trust(context, fleet)
    if certificate is not None:
        load_pair(context, certificate)
    context.set_alpn_protocols([protocol])
    return context


def hub_context(fleet: Path | str, certificate: Path) -> ssl.SSLContext:
    """Returns how a box speaks to its hub: with whoever is another one the handshake fails.

    Args:
        fleet: As of `fleet_context`.
        certificate: As of `fleet_context`.

    Raises:
        ConfigError: A file cannot be read.
    """
    context = fleet_context(fleet, certificate)
    context.sslobject_class = _WithHub
    return context


def unverified_context() -> ssl.SSLContext:
    """Returns how to ask a box for its authority's certificate, which is then checked by itself.

    Nothing else may be sent or believed over it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _harden(context)
    return context


def client_context(
    authority: Path | None = None, certificate: Path | None = None
) -> ssl.SSLContext:
    """Returns how a client calls a box: the host name in the URL must be in its certificate.

    Args:
        authority: Certificates that are trusted; None: those of the system.
        certificate: File of a private key and certificate to show.

    Raises:
        ConfigError: A file cannot be read.
    """
    context = ssl.create_default_context()
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _trust(context, authority)
    _harden(context)
    if certificate is not None:
        load_pair(context, certificate)
    return context


def load_pair(context: ssl.SSLContext, certificate: Path, key: Path | None = None) -> None:
    """Has a context show a certificate in all handshakes from now on.

    Raises:
        ConfigError: A file cannot be read, or they do not belong together.
    """
    try:
        context.load_cert_chain(certificate, key, password=_refuse_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(f"{certificate}: {_reason(error)}") from error


class _WithHub(ssl.SSLObject):
    """One side of a connection whose other side must be the hub of the fleet."""

    def do_handshake(self) -> None:
        super().do_handshake()
        identity = identity_of(self.getpeercert())
        if identity is None or not identity.is_hub:
            who = "no box" if identity is None else f"{identity.kind} {identity.name!r}"
            raise ssl.SSLCertVerificationError(f"who answers is {who}, not the hub of this fleet")


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


def _trust(context: ssl.SSLContext, authority: Path | str) -> None:
    try:
        if isinstance(authority, Path):
            context.load_verify_locations(cafile=authority)
        else:
            context.load_verify_locations(cadata=authority)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{str(authority)[:200]}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError | PermissionError):
        return (error.strerror or str(error)).lower()
    return f"it cannot be used for TLS ({error})"


def _refuse_password() -> str:
    raise ValueError("the private key has a password, and nobody would be there to type it")
