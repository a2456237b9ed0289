"""Clients of a box: `Client` (blocking), `AsyncClient` (asyncio), `AdminClient` (for operators).

The parts that speak to a network are imported when they are first used: who needs one of them does
not wait for the import of the other two.
"""

from typing import TYPE_CHECKING, Any

from edgefn.client.answer import Answer
from edgefn.client.errors import CallFailed, ConnectionLost, Unreachable

if TYPE_CHECKING:
    from edgefn.client.admin import AdminClient
    from edgefn.client.asynchronous import AsyncClient
    from edgefn.client.blocking import Client

__all__ = [
    "AdminClient",
    "Answer",
    "AsyncClient",
    "CallFailed",
    "Client",
    "ConnectionLost",
    "Unreachable",
]


def __getattr__(name: str) -> Any:
    if name == "Client":
        from edgefn.client.blocking import Client

        return Client
    if name == "AsyncClient":
        from edgefn.client.asynchronous import AsyncClient

        return AsyncClient
    if name == "AdminClient":
        from edgefn.client.admin import AdminClient

        return AdminClient
    raise AttributeError(f"module 'edgefn.client' has no attribute {name!r}")
