"""Which variants of a bundle this box can serve, and why it cannot serve the others."""

import importlib.util
from collections.abc import Callable
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from edgefn_runtime.manifest import Environment, Manifest
from edgefn_runtime.variant import NO_MODEL, Variant

# What runs a backend's models: the module, and the distribution that has it.
_ENGINES: Final = {
    "onnx": {"onnxruntime": "onnxruntime"},
    "litert": {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"},
}


def is_installed(module: str) -> bool:
    """Whether replicas of this box can import a module."""
    return importlib.util.find_spec(module) is not None


def refusals(manifest: Manifest, installed: Callable[[str], bool] = is_installed) -> dict[str, str]:
    """Returns why the box serves no calls with a variant, for those with which it does not.

    Args:
        manifest: Of the bundle.
        installed: Whether a module is there for all functions.
    """
    default: Variant | None = None
    found: dict[str, str] = {}
    for variant in manifest.variants:
        reason = _without_engine(variant, manifest, installed) or _below_floor(variant, manifest)
        if not reason and default is not None:
            reason = _without_room(default, manifest)
        if reason:
            found[variant.name] = reason
        elif default is None:
            default = variant
    return found


def _without_engine(variant: Variant, manifest: Manifest, installed: Callable[[str], bool]) -> str:
    for backend in variant.backend.split("+"):
        if backend == NO_MODEL:
            continue
        engines = _ENGINES.get(backend)
        if engines is None:
            return f"this box knows no backend {backend!r}; upgrade it"
        brought = _distributions(manifest.environment)
        if not brought & set(engines.values()) and not any(map(installed, engines)):
            return f"it needs {' or '.join(engines.values())}, which this box does not have"
    return ""


def _below_floor(variant: Variant, manifest: Manifest) -> str:
    floor = manifest.spec.min_accuracy
    if floor is None or variant.accuracy is None or variant.accuracy >= floor:
        return ""
    return f"its accuracy of {variant.accuracy:.4g} is below the function's floor of {floor:g}"


def _without_room(default: Variant, manifest: Manifest) -> str:
    scale = manifest.spec.scale
    if scale.max > scale.min:
        return ""
    return f"{default.name} keeps all {scale.max} replicas that the function's scale allows"


def _distributions(environment: Environment | None) -> set[str]:
    """Returns what an environment brings along, from the lines of its lock."""
    found: set[str] = set()
    for line in environment.lock.splitlines() if environment is not None else ():
        try:
            found.add(canonicalize_name(Requirement(line.partition(" --")[0].strip(" \\")).name))
        except InvalidRequirement:
            continue  # a hash, a comment or an option
    return found
