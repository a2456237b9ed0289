"""ONNX models, run by ONNX Runtime on the CPU."""

import mmap
import os
from types import ModuleType
from typing import Any, Final

import numpy as np

from edgefn_runtime.backends.inputs import Array, as_dtype, fits, misfit
from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.model import Model, ModelRunFailed, TensorInfo
from edgefn_runtime.optimised import WEIGHTS_FILE

_DTYPES: Final = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}
_SEVERITY_ERROR: Final = 3
# A model may name files to read its weights from. No path under a file that is no folder exists, so
# every such model is refused: what runs is what was verified, and nothing else.
_EXTERNAL_DATA_FOLDER: Final = "session.model_external_initializers_file_folder_path"
_NOWHERE: Final = os.devnull
# Weights that are handed over as bytes are read where they are, and not copied first.
_USE_MAPPING: Final = "session.use_external_initializer_file_buffers_directly"


class OnnxModel(Model):
    """A model in an ONNX Runtime session: all optimisations, one thread.

    Args:
        data: The model.
        file_name: Of the model, for messages.
        weights: Of the optimised form of a model, of which `data` is the graph: its other file.

    Raises:
        LoadFailed: The bytes are no model, or one that cannot be run here.
    """

    def __init__(self, data: bytes, file_name: str, weights: mmap.mmap | None = None) -> None:
        onnxruntime = engine(file_name)
        options = session_options(onnxruntime)
        if weights is not None:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            # In place of the file of this name; the engine still finds none by itself.
            options.add_external_initializers_from_files_in_memory(
                [WEIGHTS_FILE], [weights], [len(weights)]
            )
            options.add_session_config_entry(_USE_MAPPING, "1")
        self._weights = weights  # it stays mapped for as long as the session reads it
        self._session = open_session(onnxruntime, data, options, file_name)
        self.inputs = tuple(_describe(value, file_name) for value in self._session.get_inputs())
        self.outputs = tuple(_describe(value, file_name) for value in self._session.get_outputs())
        self._input_names = [info.name for info in self.inputs]
        self._output_names = [info.name for info in self.outputs]
        self._dtypes = [np.dtype(info.dtype) for info in self.inputs]

    def run(self, arrays: list[Array]) -> list[Array]:
        """Runs the model on one array an input, in order.

        Raises:
            ModelRunFailed: An array's dtype or shape does not fit, or the model failed.
        """
        for index, dtype in enumerate(self._dtypes):
            if arrays[index].dtype != dtype:
                arrays[index] = as_dtype(arrays[index], self.inputs[index], dtype)
        try:
            outputs: list[Array] = self._session.run(
                self._output_names, dict(zip(self._input_names, arrays, strict=True))
            )
        except Exception as error:  # the engine's exceptions have no base of their own
            for array, info in zip(arrays, self.inputs, strict=True):
                if not fits(array.shape, info):
                    raise misfit(array, info) from error
            raise ModelRunFailed(f"the model failed: {_reason(error)}") from error
        return outputs


def engine(file_name: str) -> ModuleType:
    """Returns ONNX Runtime.

    Raises:
        LoadFailed: It is not installed, or does not work.
    """
    # It sends usage data to its maker from a thread of its own, unless told before it is imported;
    # and a process that has threads cannot safely be forked.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise LoadFailed(
            f"{file_name}: ONNX Runtime is not usable here ({error}); pip install onnxruntime"
        ) from error
    found: ModuleType = onnxruntime
    return found


def session_options(onnxruntime: ModuleType) -> Any:
    """Returns the options of every session; optimised forms depend on them (`MADE_WITH`)."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _SEVERITY_ERROR
    options.add_session_config_entry(_EXTERNAL_DATA_FOLDER, _NOWHERE)
    return options


def open_session(onnxruntime: ModuleType, data: bytes, options: Any, file_name: str) -> Any:
    """Returns a session with a model.

    Raises:
        LoadFailed: ONNX Runtime refuses the model, or it needs other files.
    """
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the engine's exceptions have no base of their own
        reason = _reason(error)
        if "External data path" in reason:
            raise LoadFailed(
                f"{file_name}: the model keeps weights in another file; save it as one file "
                "(onnx.save_model with save_as_external_data=False)"
            ) from error
        raise LoadFailed(f"{file_name}: ONNX Runtime refuses the model: {reason}") from error


def _describe(value: Any, file_name: str) -> TensorInfo:
    dtype = _DTYPES.get(value.type)
    if dtype is None:
        raise LoadFailed(
            f"{file_name}: {value.name!r} is a {value.type}; inputs and outputs must be tensors "
            "of numbers, bools or strings (for scikit-learn models: options={'zipmap': False})"
        )
    shape = tuple(
        size if isinstance(size, int | str) else f"{value.name}_{axis}"
        for axis, size in enumerate(value.shape)
    )
    return TensorInfo(value.name, dtype, shape)


def _reason(error: Exception) -> str:
    """Returns the engine's message on one line, without the addresses in its source."""
    text = " ".join(str(error).split())
    return text.removeprefix("[ONNXRuntimeError] : ")[:500]
