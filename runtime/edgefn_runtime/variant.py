"""How a variant is called: by what runs it."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

BACKEND_OF_SUFFIX: Final = {".onnx": "onnx", ".tflite": "litert"}
NO_MODEL: Final = "python"


def variant_name(paths: Iterable[str]) -> str:
    """Returns `onnx`, `litert`, `onnx+litert`, or `python` for a function without a model.

    Args:
        paths: Of the function's model files.
    """
    suffixes = {PurePosixPath(path).suffix.lower() for path in paths}
    names = [name for suffix, name in BACKEND_OF_SUFFIX.items() if suffix in suffixes]
    return "+".join(names) or NO_MODEL
