"""Runs of a model in a file, as they go from one process to another.

An .npz file with the arrays `<run>/in/<name of the input>` and `<run>/out/<number of the output>`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def write_runs(path: Path, runs: Iterable[tuple[Mapping[str, Array], Sequence[Array]]]) -> None:
    """Writes what went into a model, by name, and what came out, run by run."""
    arrays: dict[str, Any] = {}
    for run, (inputs, outputs) in enumerate(runs):
        arrays.update({f"{run}/in/{name}": array for name, array in inputs.items()})
        arrays.update({f"{run}/out/{number}": array for number, array in enumerate(outputs)})
    with path.open("wb") as file:  # given a path, numpy would add a suffix to it
        np.savez(file, **arrays)


def read_runs(path: Path, count: int) -> tuple[list[dict[str, Array]], list[list[Array]]]:
    """Returns the inputs and the outputs of so many runs, as they were written."""
    inputs: list[dict[str, Array]] = [{} for _ in range(count)]
    outputs: list[list[Array]] = [[] for _ in range(count)]
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:  # in the order in which they were written
            run, direction, name = key.split("/", 2)
            if direction == "in":
                inputs[int(run)][name] = arrays[key]
            else:
                outputs[int(run)].append(arrays[key])
    return inputs, outputs
