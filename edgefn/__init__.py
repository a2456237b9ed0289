"""Serverless inference at the edge: decorated Python functions, answered within their deadline."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgefn._function import EdgeFunction, edge_function
    from edgefn.client import Answer, AsyncClient, Client
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
    from edgefn_runtime.manifest import Alert, Scale
    from edgefn_runtime.media import Audio, Image
    from edgefn_runtime.model import Model
    from edgefn_runtime.tensors import Tensor

__version__ = "0.1.0"

__all__ = [
    "Alert",
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

# Imported when asked for: the command line and the box's parent need none of them, replicas no
# client, and clients nothing of what declares functions. `edgefn --help` took 1.1 s without this.
_ELSEWHERE = {
    "Alert": "edgefn_runtime.manifest",
    "Answer": "edgefn.client",
    "AsyncClient": "edgefn.client",
    "Audio": "edgefn_runtime.media",
    "Client": "edgefn.client",
    "EdgeFunction": "edgefn._function",
    "Image": "edgefn_runtime.media",
    "Model": "edgefn_runtime.model",
    "Scale": "edgefn_runtime.manifest",
    "Tensor": "edgefn_runtime.tensors",
    "edge_function": "edgefn._function",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'edgefn' has no attribute {name!r}")
    value = getattr(importlib.import_module(_ELSEWHERE.get(name, "edgefn.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
