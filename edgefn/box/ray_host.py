"""On which address of this machine the ports of Ray are: one that an operator could have named."""

import importlib.util
import ipaddress
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from edgefn.access.files import AccessFiles
from edgefn.access.joining import address_of
from edgefn.box.config import BoxConfig
from edgefn.desired.ray import refuse_open_ray
from edgefn.errors import ConfigError

# Nothing is sent there: the system is only asked from which address it would be.
_FAR_AWAY: Final = "192.0.2.1"
_ANY_PORT: Final = 9


def check_ray(config: BoxConfig, environ: Mapping[str, str] = os.environ) -> None:
    """Refuses a box with Ray that is of no fleet, has no address, or where Ray is open or missing.

    Args:
        config: Of the box.
        environ: Of the process.

    Raises:
        ConfigError: The message says what to do.
    """
    if not config.ray:
        if config.ray_host:
            raise ConfigError("--ray-host is for a box with Ray: add --ray")
        return
    if not config.hub and not AccessFiles(config.state_dir).hub():
        raise ConfigError("a box with Ray is one of a fleet: add --hub, or --join URL")
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("Ray is not installed here: pip install 'edgefn[ray]'")
    refuse_open_ray(environ)
    ray_host(config)


def ray_host(config: BoxConfig) -> str:
    """Returns the address that Ray's ports are bound to.

    That is the one that was named, else that of the port with TLS if it is on one address, else
    the one from which this machine reaches its hub, or from which a hub reaches others.

    Raises:
        ConfigError: What was named is not one address of a machine, or none can be found.
    """
    if config.ray_host:
        return _one_address(config.ray_host)
    listens = config.listen.rpartition(":")[0].strip("[]")
    with suppress(ConfigError):
        return _one_address(listens)
    hub = AccessFiles(config.state_dir).hub()
    towards = address_of(hub)[0] if hub else _FAR_AWAY
    found = _address_towards(towards)
    if not found:
        raise ConfigError(
            f"this machine has no way to {towards}, so that its address is not known: "
            "say on which one Ray should listen with --ray-host"
        )
    return found


def _one_address(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ConfigError(f"--ray-host {host!r} is not an IP address") from None
    if address.is_unspecified or address.is_multicast:
        raise ConfigError(f"--ray-host {host} is not one address of this machine: name one")
    return str(address)


def _address_towards(host: str) -> str:
    with suppress(OSError):
        for family, kind, protocol, _, target in socket.getaddrinfo(
            host, _ANY_PORT, type=socket.SOCK_DGRAM
        ):
            with suppress(OSError), socket.socket(family, kind, protocol) as sock:
                sock.connect(target)
                return str(sock.getsockname()[0]).partition("%")[0]
    return ""
