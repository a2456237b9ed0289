"""What all backends say of arrays that do not fit."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgefn_runtime.model import ModelRunFailed, TensorInfo

Array = np.ndarray[Any, Any]


def as_dtype(array: Array, info: TensorInfo, dtype: np.dtype[Any]) -> Array:
    """Returns the array in the input's dtype.

    Raises:
        ModelRunFailed: The conversion could lose information.
    """
    if array.dtype == dtype:
        return array
    if dtype.kind == "O" and array.dtype.kind in "OSU":
        return array.astype(object)
    if not np.can_cast(array.dtype, dtype, "safe"):
        raise ModelRunFailed(
            f"input {info.name!r}: expected {info.dtype}, got {array.dtype}; "
            f"convert it with .astype({info.dtype!r}) if that loses nothing that matters"
        )
    return array.astype(dtype)


def fits(shape: Sequence[int], info: TensorInfo) -> bool:
    """Whether an array of this shape has the input's rank and fixed dimensions."""
    return len(shape) == len(info.shape) and all(
        isinstance(wanted, str) or given == wanted
        for given, wanted in zip(shape, info.shape, strict=True)
    )


def misfit(array: Array, info: TensorInfo) -> ModelRunFailed:
    """Returns the error for an array of the wrong shape."""
    return ModelRunFailed(
        f"input {info.name!r}: expected shape {spell(info.shape)}, got {spell(array.shape)}"
    )


def spell(shape: Sequence[int | str]) -> str:
    """Returns a shape as it is read: `[n, 49, 10]`."""
    return f"[{', '.join(str(dimension) for dimension in shape)}]"
