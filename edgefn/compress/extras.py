"""What a recipe needs installed beside the platform, and in which version it is."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec


def missing_extra(extra: str, modules: Iterable[str]) -> str:
    """Returns what to install if one of the modules is not importable, in one line, or nothing."""
    if all(find_spec(module) is not None for module in modules):
        return ""
    return f"needs the extra {extra!r}: pip install 'edgefn[{extra}]'"


def versions(packages: Iterable[str]) -> str:
    """Returns distributions with their installed versions, as in `numpy-2.1,onnx-none`."""
    return ",".join(f"{package}-{_version(package)}" for package in packages)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
