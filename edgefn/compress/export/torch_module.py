"""PyTorch modules: torch.export's graph ("dynamo"), or TorchScript's where that fails."""

import inspect
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefn.compress.errors import ExportFailed
from edgefn.compress.graphs import onnx_model
from edgefn.compress.recipe import RecipeFailed
from edgefn.compress.tools import calling

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]

_log = logging.getLogger(__name__)
# What ONNX Runtime 1.20, the oldest that a box may have, knows well enough.
_OPSET: Final = 18
# One row would become part of the graph.
_ROWS: Final = 2


def export(model: "torch.nn.Module", examples: Sequence[Array]) -> bytes:
    """Returns the module as an ONNX model with a free batch.

    Raises:
        ExportFailed: Neither of PyTorch's exporters can do it.
    """
    import torch

    rows = [torch.from_numpy(np.resize(array, (_ROWS, *array.shape[1:]))) for array in examples]
    names = _input_names(model, len(examples))
    with evaluating(model):
        outputs = _output_names(_tensors(model(*rows)))
        try:
            return _exported(
                model, rows, names, outputs,
                dynamo=True,
                dynamic_shapes=tuple({0: torch.export.Dim("batch")} for _ in rows),
            )  # fmt: skip
        except RecipeFailed as error:
            _log.debug("%s: %s", type(model).__name__, error)
        try:
            return _exported(
                model, rows, names, outputs,
                dynamo=False,
                dynamic_axes={name: {0: "batch"} for name in (*names, *outputs)},
            )  # fmt: skip
        except RecipeFailed as error:
            raise ExportFailed(
                f"{type(model).__name__} cannot be exported; its forward has to do the same for "
                f"every input and every number of rows: {error.message}"
            ) from error


def answers_of(model: "torch.nn.Module") -> Callable[[Sequence[Array]], list[Array]]:
    """Returns what answers as the module does, from arrays to arrays."""
    import torch

    def answer(arrays: Sequence[Array]) -> list[Array]:
        with evaluating(model):
            found = _tensors(model(*[torch.from_numpy(np.array(array)) for array in arrays]))
        return [tensor.numpy() for tensor in found]

    return answer


@contextmanager
def evaluating(model: "torch.nn.Module") -> Iterator[None]:
    """Sets every part of a module to evaluation without gradients, and back again afterwards."""
    import torch

    training = [part for part in model.modules() if part.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part in training:
            part.training = True


def _exported(
    model: "torch.nn.Module",
    rows: "Sequence[torch.Tensor]",
    inputs: list[str],
    outputs: list[str],
    **how: Any,
) -> bytes:
    import torch

    with (
        calling("PyTorch's exporter"),
        _quiet_torch(),
        warnings.catch_warnings(record=True) as warned,
        tempfile.TemporaryDirectory() as folder,
    ):
        warnings.simplefilter("always")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            model, tuple(rows), str(path), input_names=inputs, output_names=outputs,
            opset_version=_OPSET, verbose=False, external_data=False, **how,
        )  # fmt: skip
        data = path.read_bytes()
        if any("to a Python boolean" in str(warning.message) for warning in warned):
            # TorchScript's exporter would decide it once and for all, by the example.
            raise RecipeFailed("it decides by the values of a tensor; torch.where can be exported")
        if not onnx_model.has_free_batch(onnx_model.load(data)):
            raise RecipeFailed("the number of rows became part of the graph")
    return data


@contextmanager
def _quiet_torch() -> Iterator[None]:
    """Keeps PyTorch from logging the graph on which it failed, page by page, to stderr."""
    logger = logging.getLogger("torch")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _input_names(model: "torch.nn.Module", count: int) -> list[str]:
    """Returns the names of the parameters of `forward`, as far as it has them."""
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(model.forward).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind in named][:count]
    return names + [f"input_{index}" for index in range(len(names), count)]


def _output_names(outputs: "Sequence[torch.Tensor]") -> list[str]:
    if len(outputs) == 1:
        return ["output"]
    return [f"output_{index}" for index in range(len(outputs))]


def _tensors(answer: Any) -> "list[torch.Tensor]":
    import torch

    found = list(answer) if isinstance(answer, tuple | list) else [answer]
    if not found or not all(isinstance(tensor, torch.Tensor) for tensor in found):
        raise ExportFailed(
            f"forward returns a {type(answer).__name__}; return a tensor or a tuple of tensors"
        )
    return found
