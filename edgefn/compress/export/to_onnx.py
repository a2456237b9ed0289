"""A trained model as the bytes of an .onnx file, whose answers were compared with the model's."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from edgefn.compress.errors import ExportFailed
from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.compact import compact
from edgefn.compress.recipe import ExtraMissing, RecipeFailed
from edgefn.compress.tools import missing_extra

Array = np.ndarray[Any, Any]
Answer = Callable[[Sequence[Array]], list[Array]]

# Other kernels, another order of sums: 1e-6 to 1e-4; a wrong export is off by far more.
_TOLERANCE: Final = 1e-3
# One row, and a number that no example has by chance: the batch has to be free.
_BATCHES: Final = (1, 3)


def to_onnx(model: Any, example_inputs: Sequence[Array]) -> bytes:
    """Returns a model as an .onnx file that answers the same, for any number of rows.

    Args:
        model: A `torch.nn.Module`, exported as in evaluation, or a fitted scikit-learn estimator.
        example_inputs: One array an input, in order; their first dimension is the batch.

    Raises:
        ExportFailed: It is neither, or cannot be exported, or the export answers otherwise.
        ExtraMissing: What exports it is not installed.
    """
    examples = [np.asarray(array) for array in example_inputs]
    if not examples or any(array.ndim < 1 or not len(array) for array in examples):
        raise ExportFailed("example_inputs: give one array an input, of one row or more each")
    # By where its class and bases come from: neither package is imported for the other's models.
    origins = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    if "torch" in origins:
        data, answer = _of_torch(model, examples)
    elif "sklearn" in origins:
        data, answer = _of_sklearn(model, examples)
    else:
        raise ExportFailed(
            f"a {type(model).__name__} cannot be exported: give a torch.nn.Module, a fitted "
            "scikit-learn estimator, or an .onnx or .tflite file"
        )
    exported = onnx_model.load(data)
    compact(exported, rename=False)
    data = onnx_model.save(exported)
    _check(data, answer, examples)
    return data


def _of_torch(model: Any, examples: list[Array]) -> tuple[bytes, Answer]:
    if missing := missing_extra("torch", ("torch", "onnx", "onnxscript")):
        raise ExtraMissing(f"exporting a torch.nn.Module {missing}")
    from edgefn.compress.export import torch_module

    return torch_module.export(model, examples), torch_module.answers_of(model)


def _of_sklearn(model: Any, examples: list[Array]) -> tuple[bytes, Answer]:
    if missing := missing_extra("sklearn", ("sklearn", "skl2onnx")):
        raise ExtraMissing(f"exporting a scikit-learn estimator {missing}")
    from edgefn.compress.export import estimator

    return estimator.export(model, examples), estimator.answers_of(model)


def _check(data: bytes, answer: Answer, examples: list[Array]) -> None:
    """Sees to it that the export answers as the model does, for one row and for several."""
    names = [value.name for value in onnx_model.fed_inputs(onnx_model.load(data))]
    if len(names) != len(examples):
        raise ExportFailed(
            f"the exported model takes {len(names)} inputs ({', '.join(names)}) and "
            f"{len(examples)} examples were given; an input that is not used disappears"
        )
    for batch in _batches(examples):
        rows = len(batch[0])
        try:
            found = onnx_model.answers(data, dict(zip(names, batch, strict=True)))
        except RecipeFailed as error:
            raise ExportFailed(
                f"the exported model fails on {rows} rows: {error.message}"
            ) from error
        for index, (expected, array) in enumerate(zip(answer(batch), found, strict=False)):
            error_share = onnx_model.relative_error(expected, _in_shape(array, expected))
            if error_share > _TOLERANCE:
                raise ExportFailed(
                    f"the exported model answers otherwise on {rows} rows: output {index} is "
                    f"{array.dtype}{list(array.shape)}, off by {error_share:.2g} of its norm"
                )


def _batches(examples: list[Array]) -> Iterator[list[Array]]:
    """Yields the examples, other numbers of rows, and other values: no branch may be baked in."""
    for rows in (*_BATCHES, len(examples[0])):
        batch = [resized(array, rows) for array in examples]
        yield batch
        yield [-array if np.issubdtype(array.dtype, np.floating) else array for array in batch]


def _in_shape(array: Array, expected: Array) -> Array:
    """Returns a column as a vector, or the other way round, where only that is different."""
    return array.reshape(expected.shape) if array.size == expected.size else array


def resized(array: Array, rows: int) -> Array:
    """Returns so many rows of an array, repeated from the start where it has fewer."""
    taken: Array = array[np.arange(rows) % len(array)]
    return taken
