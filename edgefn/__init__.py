"""Serverless inference at the edge: decorated Python functions, answered within their deadline."""

from typing import TYPE_CHECKING, Any

from edgefn._function import EdgeFunction, edge_function
from edgefn.errors import (
    DeadlineExceeded,
    DeadlineUnattainable,
    DeclarationError,
    EdgefnError,
    FunctionFailed,
    InvalidInput,
    LoadFailed,
    QueueFull,
    ReplicaLost,
    TimedOut,
)
from edgefn_runtime.manifest import Scale
from edgefn_runtime.media import Audio, Image
from edgefn_runtime.model import Model
from edgefn_runtime.tensors import Tensor

if TYPE_CHECKING:
    from edgefn.client import Answer, AsyncClient, Client

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "AsyncClient",
    "Audio",
    "Client",
    "DeadlineExceeded",
    "DeadlineUnattainable",
    "DeclarationError",
    "EdgeFunction",
    "EdgefnError",
    "FunctionFailed",
    "Image",
    "InvalidInput",
    "LoadFailed",
    "Model",
    "QueueFull",
    "ReplicaLost",
    "Scale",
    "Tensor",
    "TimedOut",
    "edge_function",
]

_LAZY = ("Answer", "AsyncClient", "Client")  # replicas import this module; they call nobody


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import edgefn.client

        return getattr(edgefn.client, name)
    raise AttributeError(f"module 'edgefn' has no attribute {name!r}")
