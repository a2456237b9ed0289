"""The listening sockets, which the box owns so that gateways come and go without losing calls."""

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass
from typing import Final, Self

from edgefn.errors import ConfigError

BACKLOG: Final = 1024

_Address = tuple[str, int, *tuple[int, ...]]  # a name first for AF_INET and AF_INET6


@dataclass(frozen=True, slots=True)
class Listeners:
    """One listening socket for each gateway, all on one port.

    Attributes:
        sockets: Of one address; the kernel spreads new connections over them.
    """

    sockets: tuple[socket.socket, ...]

    @classmethod
    def bind(cls, host: str, port: int, count: int, *, insecure: bool) -> Self:
        """Binds and listens.

        Raises:
            ConfigError: The address does not resolve, is not the box's, is taken, or can be reached
                by others without `insecure`.
        """
        family, address = _resolve(host, port)
        if not _is_loopback(address) and not insecure:
            raise ConfigError(
                f"{host} can be reached by other machines, and this port has neither keys nor TLS: "
                f"use --listen {host}:8443, which has both, or say --insecure if you mean it"
            )
        return cls._listen(family, address, count)

    @classmethod
    def bind_for_peers(cls, host: str, port: int | None, count: int) -> Self:
        """Binds and listens where gateways of other boxes call; nowhere if `port` is None.

        Raises:
            ConfigError: The address does not resolve, is taken, or is not a loopback one.
        """
        if port is None:
            return cls(())
        family, address = _resolve(host, port)
        if not _is_loopback(address):
            raise ConfigError(
                f"{host} can be reached by other machines, and this port has no TLS: use "
                "127.0.0.1 for peers, and --hub and --join for boxes on other machines"
            )
        return cls._listen(family, address, count)

    @classmethod
    def bind_secure(cls, listen: str, count: int) -> Self:
        """Binds and listens where others reach the box with TLS; nowhere if `listen` is empty.

        Raises:
            ConfigError: The address does not resolve, is not the box's, or is taken.
        """
        if not listen:
            return cls(())
        host, _, port = listen.rpartition(":")
        family, address = _resolve(host.strip("[]"), int(port))
        return cls._listen(family, address, count)

    @classmethod
    def _listen(cls, family: int, address: _Address, count: int) -> Self:
        # Several sockets may share a port only if each says so, and then a second box of the same
        # user would not be refused: a first socket that does not share finds out.
        sockets = [_bind(family, address, shared=False)]
        if count > 1:
            first = sockets.pop()
            bound = (address[0], first.getsockname()[1], *address[2:])
            first.close()
            sockets = [_bind(family, bound, shared=True) for _ in range(count)]
        for sock in sockets:
            sock.listen(BACKLOG)
        return cls(tuple(sockets))

    @property
    def url(self) -> str:
        """Under which this machine reaches the box."""
        return f"http://{self.address}"

    @property
    def address(self) -> str:
        """Where this machine reaches it, as `host:port`; empty if it listens nowhere."""
        if not self.sockets:
            return ""
        host, port = self.sockets[0].getsockname()[:2]
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            host = "127.0.0.1" if address.version == 4 else "::1"
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        """Closes this process's descriptors."""
        for sock in self.sockets:
            sock.close()


def check_peers(peers: tuple[str, ...]) -> None:
    """Refuses addresses of peers that cannot be dialled, or not safely.

    Raises:
        ConfigError: One is not `host:port`, does not resolve, or is not a loopback address.
    """
    for peer in peers:
        host, _, port = peer.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigError(f"{peer!r} is no address of a peer: write it like 127.0.0.1:9000")
        if not _is_loopback(_resolve(host.strip("[]"), int(port))[1]):
            raise ConfigError(
                f"the peer {peer} is on another machine, and links without TLS are for this "
                "machine only: join its fleet with --join"
            )


def _is_loopback(address: _Address) -> bool:
    return ipaddress.ip_address(address[0]).is_loopback


def _resolve(host: str, port: int) -> tuple[int, _Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"the address {host!r} does not resolve: {error.strerror}") from error
    family, _, _, _, address = found[0]
    return family, address  # type: ignore[return-value]


def _bind(family: int, address: _Address, *, shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise ConfigError(_refusal(error, address[0], address[1])) from error
    return sock


def _refusal(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use: stop what listens there, "
            "or choose another with --port"
        )
    if error.errno == errno.EACCES:
        return f"port {port} of {host} needs privileges: choose one above 1023 with --port"
    return f"cannot listen on port {port} of {host}: {os.strerror(error.errno or 0)}"
