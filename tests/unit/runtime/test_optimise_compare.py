"""When the optimised form of a model is as good as the model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.model import Model, ModelRunFailed, TensorInfo
from edgefn_runtime.optimise import compare

Array = np.ndarray[Any, Any]


class Doing(Model):
    """A model that does what it is told to a first input."""

    def __init__(self, does: Callable[[Array], Array], *inputs: TensorInfo) -> None:
        self.inputs = inputs or (TensorInfo("x", "float32", ("n", 3)),)
        self.outputs = (TensorInfo("y", "float32", ("n", 3)),)
        self.shapes: list[tuple[int, ...]] = []
        self._does = does

    def run(self, arrays: list[Array]) -> list[Array]:
        self.shapes.append(arrays[0].shape)
        return [self._does(arrays[0])]


def test_the_same_numbers_are_as_good() -> None:
    """So are such that differ by rounding, and the same that are none."""
    compare(Doing(np.tanh), Doing(np.tanh))
    compare(Doing(lambda x: x), Doing(lambda x: x * np.float32(1 + 2e-7)))
    compare(Doing(lambda x: x * np.nan), Doing(lambda x: x * np.nan))


@pytest.mark.parametrize(
    "does",
    [
        lambda x: x * np.float32(1.0001),
        lambda x: x[:, :2],
        lambda x: np.where(np.arange(3) == 1, np.nan, x),
        lambda x: x if len(x) == 1 else x + 1,
    ],
)
def test_other_numbers_are_not(does: Callable[[Array], Array]) -> None:
    """Be it one of them, for some number of rows only, or another shape."""
    with pytest.raises(LoadFailed, match="gives something else"):
        compare(Doing(lambda x: x), Doing(does))


def test_other_inputs_are_not() -> None:
    """Calls are checked against what the model says that it takes."""
    with pytest.raises(LoadFailed, match="has other inputs or outputs"):
        compare(Doing(np.tanh), Doing(np.tanh, TensorInfo("z", "float32", ("n", 3))))


def test_free_dimensions_are_tried_at_several_sizes() -> None:
    """Of these, any that the model runs on will do; but one must."""
    info = TensorInfo("x", "float32", ("n", 3, "width"))
    compare(Doing(at_least(5), info), form := Doing(np.tanh, info))
    assert form.shapes == [(1, 3, 64)]
    with pytest.raises(LoadFailed, match="runs on no input"):
        compare(Doing(at_least(5000), info), Doing(np.tanh, info))


def at_least(width: int) -> Callable[[Array], Array]:
    def does(x: Array) -> Array:
        if x.shape[-1] < width:
            raise ModelRunFailed("too narrow")
        return np.tanh(x)

    return does


@pytest.mark.parametrize(
    "dtype", ["float16", "float64", "int8", "uint8", "int64", "bool", "object"]
)
def test_inputs_of_every_type_are_made_up(dtype: str) -> None:
    """In the type that the model takes."""
    seen = []

    def does(x: Array) -> Array:
        seen.append(x.dtype)
        return np.zeros(1, np.float32)

    info = TensorInfo("x", dtype, (2, "n"))
    compare(Doing(does, info), Doing(does, info))
    assert set(seen) == {np.dtype(dtype)}
