"""What a box's configuration and its membership of a fleet mean for its access and its gateways."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from edgefn.access.files import AccessFiles
from edgefn.access.joining import address_of
from edgefn.box.access import Access
from edgefn.box.config import BoxConfig
from edgefn.box.membership import Membership
from edgefn.errors import ConfigError
from edgefn.gateway.fleet_tls import TlsFiles

# To these nothing is sent: the system is only asked from which address it would be.
_FAR_AWAY: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_WILDCARDS: Final = ("0.0.0.0", "::", "")


@asynccontextmanager
async def open_access(config: BoxConfig) -> AsyncIterator[Access]:
    """Opens keys and certificates of a box, and closes them again.

    Raises:
        ConfigError: A file is damaged, or the configuration contradicts itself.
    """
    check(config)
    files = AccessFiles(config.state_dir)
    access = await Access.open(
        files, config.name, reached_as(config), hub=has_authority(config, files)
    )
    try:
        yield access
    finally:
        await access.aclose()


def check(config: BoxConfig) -> None:
    """Refuses a configuration that contradicts itself.

    Raises:
        ConfigError: The message says what to do.
    """
    if (config.tls_cert is None) != (config.tls_key is None):
        raise ConfigError("--tls-cert and --tls-key belong together")
    if config.tls_cert is not None and not config.listen:
        raise ConfigError("a certificate is for a port with TLS: say which with --listen")
    joined = AccessFiles(config.state_dir).hub()
    if config.hub and joined:
        raise ConfigError(f"this box joined the fleet of {joined}: a fleet has one hub")


def has_authority(config: BoxConfig, files: AccessFiles) -> bool:
    """Whether a box signs certificates: for a fleet, or, alone, its own."""
    alone = bool(config.listen) and config.tls_cert is None and not files.hub()
    return config.hub or alone


def membership_of(config: BoxConfig) -> Membership:
    """Returns what a box is in its fleet; one that is alone serves for all tiers."""
    hub = AccessFiles(config.state_dir).hub()
    return Membership(tier=config.tier if hub or config.hub else "", hub=hub)


def tls_files(config: BoxConfig) -> TlsFiles:
    """Returns where the gateways of a box find certificates."""
    files = AccessFiles(config.state_dir)
    in_fleet = has_authority(config, files) or bool(files.hub())
    return TlsFiles(
        certificate=str(files.certificate) if in_fleet else "",
        fleet=str(files.fleet) if in_fleet else "",
        own_certificate=str(config.tls_cert or ""),
        own_key=str(config.tls_key or ""),
    )


def upstreams(config: BoxConfig) -> tuple[str, ...]:
    """Returns which hubs the gateways of a box dial, as `host:port`."""
    hub = AccessFiles(config.state_dir).hub()
    if not hub:
        return ()
    host, port = address_of(hub)
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}",)


def reached_as(config: BoxConfig) -> tuple[str, ...]:
    """Returns the names and addresses under which others may reach a box."""
    host = config.listen.rpartition(":")[0].strip("[]")
    found = [config.name, socket.gethostname(), "localhost", "127.0.0.1", "::1", *_addresses()]
    given = config.tls_names if host in _WILDCARDS else (host, *config.tls_names)
    return tuple(dict.fromkeys(name for name in (*found, *given) if name.isascii() and name))


def reached_at(config: BoxConfig, port: int) -> str:
    """Returns where other boxes can dial a box, as `host:port`; empty: nowhere.

    Args:
        config: Of the box. What an operator named goes before what the system tells.
        port: Where it listens with TLS; 0: nowhere.
    """
    if not port:
        return ""
    host = config.listen.rpartition(":")[0].strip("[]")
    if host in _WILDCARDS:
        host = next(iter((*config.tls_names, *_addresses(), socket.gethostname())))
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _addresses() -> list[str]:
    addresses = []
    for family, far_away in _FAR_AWAY:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((far_away, 9))
            addresses.append(str(sock.getsockname()[0]).partition("%")[0])
    return addresses
