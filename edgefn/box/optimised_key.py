"""What an optimised form depends on beside its model: the engine, the processor, how it is made."""

import hashlib
import json
from importlib import metadata
from typing import Final

from edgefn.bundle.lock import InvalidLock, parse_lock
from edgefn_runtime.manifest import Environment
from edgefn_runtime.optimised import MADE_WITH

ENGINE: Final = "onnxruntime"

# Lines of /proc/cpuinfo: what a processor is, and what it can do.
_IDENTITY: Final = frozenset(
    {"vendor_id", "cpu family", "model", "CPU implementer", "CPU part", "CPU variant", "uarch"}
)
_FEATURES: Final = frozenset({"flags", "Features", "isa"})


def engine_of(environment: Environment | None) -> str:
    """Returns the version of ONNX Runtime that replicas find; empty if they find none.

    Args:
        environment: Theirs; None for that of the box.
    """
    try:
        locked = parse_lock(environment.lock) if environment is not None else ()
        own = (each.version for each in locked if each.name == ENGINE and each.applies())
        return next(own, None) or metadata.version(ENGINE)
    except (InvalidLock, metadata.PackageNotFoundError):
        return ""


def processor_of(cpuinfo: str) -> str:
    """Returns what kernels are chosen by; empty if that cannot be told.

    All features rather than those that matter to today's engine: one that is missing here would
    give wrong numbers, one too many has forms made again.

    Args:
        cpuinfo: The text of /proc/cpuinfo.
    """
    found, features = set(), False
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        name = name.strip()
        if name in _IDENTITY | _FEATURES:
            found.add(f"{name}: {' '.join(sorted(value.split()))}")
            features |= name in _FEATURES
    return "\n".join(sorted(found)) if features else ""


def key_of(engine: str, processor: str) -> str:
    """Returns what the forms that are good for both are kept under; empty if either is unknown."""
    if not engine or not processor:
        return ""
    parts = json.dumps([engine, processor, MADE_WITH])
    return hashlib.sha256(parts.encode()).hexdigest()[:16]
