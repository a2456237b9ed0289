"""The rows of a function's data as single runs of its model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from edgefn.compress.recipe import RecipeFailed, Row
from edgefn_runtime.errors import EdgefnError
from edgefn_runtime.model import Model

Array = np.ndarray[Any, Any]
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What goes into a model and what comes out, run by run.

    Attributes:
        inputs: Name to the arrays of all runs, in the model's order: (runs, *shape of one run).
        outputs: Name to what the model answers, likewise.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


def single_runs(model: Model, rows: Sequence[Row], limit: int) -> Runs:
    """Returns what a model answers to rows, those with many rows of a batch taken apart.

    Args:
        model: That is asked.
        rows: One mapping of input name to array for each time the function ran the model.
        limit: At most so many runs, taken evenly from all.

    Raises:
        RecipeFailed: There are no rows, the model fails on one, or their shapes differ.
    """
    found: list[tuple[list[Array], list[Array]]] = []
    for row in evenly(rows, limit):
        found += _apart(model, row)
    if not found:
        raise RecipeFailed("it takes data: give evaluate= or calibrate=")
    found = evenly(found, limit)
    inputs, outputs = zip(*found, strict=True)
    return Runs(
        inputs=_stacked("input", [info.name for info in model.inputs], inputs),
        outputs=_stacked("output", [info.name for info in model.outputs], outputs),
    )


def evenly(items: Sequence[_Item], limit: int) -> list[_Item]:
    """Returns at most so many items, at equal distances."""
    if len(items) <= limit:
        return list(items)
    return [items[place] for place in np.linspace(0, len(items) - 1, limit).astype(int)]


def _apart(model: Model, row: Row) -> list[tuple[list[Array], list[Array]]]:
    try:
        inputs = [np.asarray(row[info.name]) for info in model.inputs]
        outputs = model.run(list(inputs))
    except KeyError as error:
        raise RecipeFailed(f"no data for the input {error}") from error
    except EdgefnError as error:
        raise RecipeFailed(error.message) from error
    count = {len(array) if array.ndim else 1 for array in inputs}
    by_row = all(info.shape and info.shape[0] in (1, *_free(info.shape)) for info in model.inputs)
    if count == {1} or not by_row:
        return [(inputs, outputs)]
    for info, output in zip(model.outputs, outputs, strict=True):
        if len(count) > 1 or not output.ndim or {len(output)} != count:
            raise RecipeFailed(
                f"its output {info.name!r} is not one a row: from {max(count)} rows came "
                f"{list(output.shape)}"
            )
    return [
        ([array[n : n + 1] for array in inputs], [array[n : n + 1] for array in outputs])
        for n in range(count.pop())
    ]


def _free(shape: tuple[int | str, ...]) -> list[str]:
    return [size for size in shape[:1] if isinstance(size, str)]


def _stacked(what: str, names: list[str], runs: Sequence[list[Array]]) -> dict[str, Array]:
    stacked = {}
    for name, arrays in zip(names, zip(*runs, strict=True), strict=True):
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            first, second = sorted(shapes)[:2]
            raise RecipeFailed(
                f"its {what} {name!r} has more free dimensions than the batch: there are "
                f"{list(first)} and {list(second)} in the data"
            )
        stacked[name] = np.stack(arrays)
    return stacked
