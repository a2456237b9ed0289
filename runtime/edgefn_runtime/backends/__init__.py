"""What runs models. Nothing else imports an inference engine."""

from pathlib import PurePosixPath
from typing import Final

from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.model import Model
from edgefn_runtime.variant import BACKEND_OF_SUFFIX

_TFLITE_IDENTIFIER: Final = b"TFL3"


def load_model(data: bytes, file_name: str) -> Model:
    """Loads a model from its bytes; the file's name chooses the backend where they do not.

    Raises:
        LoadFailed: It is neither ONNX nor TFLite, is broken, refers to data outside of itself, or
            needs a package that is not installed.
    """
    # Each engine is imported by the first model that needs it.
    if data[4:8] == _TFLITE_IDENTIFIER:
        from edgefn_runtime.backends.litert import load_litert

        return load_litert(data, file_name)
    suffix = PurePosixPath(file_name).suffix.lower()
    if BACKEND_OF_SUFFIX.get(suffix) == "onnx":
        from edgefn_runtime.backends.onnx import OnnxModel

        return OnnxModel(data, file_name)
    if BACKEND_OF_SUFFIX.get(suffix) == "litert":
        raise LoadFailed(f"{file_name}: not a TFLite file: its bytes 4 to 8 are {data[4:8]!r}")
    raise LoadFailed(f"{file_name}: neither an .onnx nor a .tflite model")
