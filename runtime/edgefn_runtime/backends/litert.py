"""TFLite models, run by LiteRT; by `tflite-runtime` where only that is installed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgefn_runtime.backends.inputs import Array, as_dtype, fits, misfit
from edgefn_runtime.backends.tflite_file import read_quantization
from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.model import Model, ModelRunFailed, TensorInfo


def load_litert(data: bytes, file_name: str) -> Model:
    """Loads a TFLite model.

    Raises:
        LoadFailed: No engine is installed; the bytes are no model; or only `tflite-runtime` is
            there, which computes this model wrongly.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as missing:
        interpreter = _old_interpreter(data, file_name, missing)
    else:
        interpreter = _make(Interpreter, data, file_name)
    return LitertModel(interpreter, file_name)


def _old_interpreter(data: bytes, file_name: str, missing: ImportError) -> Any:
    advice = "pip install 'edgefn[litert]'"
    try:
        from tflite_runtime.interpreter import Interpreter
    except ImportError:
        raise LoadFailed(
            f"{file_name}: TFLite models need LiteRT, which is not usable here ({missing}); "
            f"{advice}"
        ) from missing
    quantization = read_quantization(data, file_name)
    # Checked by value against LiteRT 2.3: of dynamic-range int8 networks it makes noise without an
    # error, and some int4 models crash it.
    if quantization.hybrid or quantization.int4:
        kind = "4-bit" if quantization.int4 else "dynamic-range int8"
        raise LoadFailed(
            f"{file_name}: {kind} weights are computed wrongly by tflite-runtime, the only TFLite "
            f"engine here; {advice}, or use a float or a fully quantized variant"
        )
    return _make(Interpreter, data, file_name)


def _make(engine: Any, data: bytes, file_name: str) -> Any:
    try:
        interpreter = engine(model_content=data, num_threads=1)
        interpreter.allocate_tensors()
    except Exception as error:  # the engine raises ValueError, RuntimeError, and older ones others
        reason = " ".join(str(error).split())[:500]
        raise LoadFailed(f"{file_name}: LiteRT refuses the model: {reason}") from error
    return interpreter


class LitertModel(Model):
    """A model in an interpreter with one thread. Not to be called from two threads at once.

    Inputs and outputs have the names of the model's signature if it has exactly one, else those of
    their tensors. A free dimension (usually the batch) is resized when the given size changes. A
    model made for one row (the first dimension of every input and output is a fixed 1) takes any
    number of rows and runs once for each.
    """

    def __init__(self, interpreter: Any, file_name: str) -> None:
        self._interpreter = interpreter
        inputs = interpreter.get_input_details()
        outputs = interpreter.get_output_details()
        names = _signature_names(interpreter)
        self.inputs = tuple(_describe(detail, names, file_name) for detail in inputs)
        self.outputs = tuple(_describe(detail, names, file_name) for detail in outputs)
        self._input_indices = [int(detail["index"]) for detail in inputs]
        self._output_indices = [int(detail["index"]) for detail in outputs]
        self._shapes = [tuple(int(size) for size in detail["shape"]) for detail in inputs]
        self._dtypes = [np.dtype(info.dtype) for info in self.inputs]
        self._output_dtypes = [np.dtype(info.dtype) for info in self.outputs]
        self._row_shapes = [tuple(int(size) for size in detail["shape"][1:]) for detail in outputs]
        self._one_row = all(info.shape[:1] == (1,) for info in (*self.inputs, *self.outputs))

    def run(self, arrays: list[Array]) -> list[Array]:
        """Runs the model on one array an input, in order.

        Raises:
            ModelRunFailed: An array's dtype or shape does not fit, or the model failed.
        """
        arrays = [
            as_dtype(array, info, dtype)
            for array, info, dtype in zip(arrays, self.inputs, self._dtypes, strict=True)
        ]
        shapes = [array.shape for array in arrays]
        try:
            if shapes != self._shapes:
                if self._one_row:
                    return self._run_rows(arrays)
                self._resize(arrays, shapes)
            return self._run_once(arrays)
        except (ValueError, RuntimeError) as error:
            raise ModelRunFailed(f"the model failed: {' '.join(str(error).split())}") from error

    def _run_once(self, arrays: Sequence[Array]) -> list[Array]:
        for index, array in zip(self._input_indices, arrays, strict=True):
            self._interpreter.set_tensor(index, array)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._output_indices]

    def _run_rows(self, arrays: list[Array]) -> list[Array]:
        """Runs each row by itself: a resized batch breaks shapes that the model has as constants.

        It is no slower: within a run nothing is shared between rows but the weights, which stay in
        the cache.
        """
        rows = arrays[0].shape[0] if arrays[0].ndim else -1
        for array, info in zip(arrays, self.inputs, strict=True):
            any_rows = TensorInfo(info.name, info.dtype, ("n", *info.shape[1:]))
            if not fits(array.shape, any_rows):
                raise misfit(array, any_rows)
            if array.shape[0] != rows:
                raise ModelRunFailed(
                    f"input {info.name!r}: {array.shape[0]} rows, but {rows} of "
                    f"{self.inputs[0].name!r}"
                )
        outputs = [
            np.empty((rows, *shape), dtype)
            for shape, dtype in zip(self._row_shapes, self._output_dtypes, strict=True)
        ]
        for row in range(rows):
            answers = self._run_once([array[row : row + 1] for array in arrays])
            for output, answer in zip(outputs, answers, strict=True):
                output[row] = answer[0]
        return outputs

    def _resize(self, arrays: list[Array], shapes: list[tuple[int, ...]]) -> None:
        for array, info in zip(arrays, self.inputs, strict=True):
            if not fits(array.shape, info):
                raise misfit(array, info)
        self._shapes = []  # until it has succeeded, every call tries again
        for index, shape in zip(self._input_indices, shapes, strict=True):
            self._interpreter.resize_tensor_input(index, shape, strict=True)
        self._interpreter.allocate_tensors()
        self._shapes = shapes


def _signature_names(interpreter: Any) -> dict[int, str]:
    """Returns tensor index to name in the model's signature; nothing if it has not just one."""
    signatures = list(interpreter.get_signature_list())
    if len(signatures) != 1:
        return {}
    runner = interpreter.get_signature_runner(signatures[0])
    details = {**runner.get_output_details(), **runner.get_input_details()}
    return {int(detail["index"]): name for name, detail in details.items()}


def _describe(detail: Any, names: dict[int, str], file_name: str) -> TensorInfo:
    name = names.get(int(detail["index"]), str(detail["name"]))
    dtype = np.dtype(detail["dtype"])
    if dtype.kind not in "biuf":
        raise LoadFailed(
            f"{file_name}: {name!r} is a tensor of {dtype}; inputs and outputs must be numbers or "
            "bools"
        )
    shape = tuple(
        int(size) if size >= 0 else f"{name}_{axis}" for axis, size in enumerate(_shape_of(detail))
    )
    return TensorInfo(name, dtype.name, shape)


def _shape_of(detail: Any) -> Any:
    free = detail.get("shape_signature")
    # Files without the field report an empty one, whatever the rank.
    return detail["shape"] if free is None or len(free) != len(detail["shape"]) else free
