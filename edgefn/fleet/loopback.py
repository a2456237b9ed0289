"""Lets a cluster that was told to stay on this machine stay there.

Ray takes 127.0.0.1 for a mistake and listens on all interfaces in its place, with a token as the
only protection. Where it is told otherwise it listens on loopback alone.
"""

from ray._private import services


def keep() -> None:
    """Has Ray, in this process, take a loopback address as it is given."""
    services.resolve_ip_for_localhost = _as_given


def _as_given(host: str) -> str:
    if not host:
        raise ValueError(f"Malformed host: {host}")
    return host
