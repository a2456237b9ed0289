"""A recipe's rows and outputs in a file, as they go to another process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgefn.compress.recipe import Material


def write_material(material: Material, path: Path) -> None:
    """Writes the arrays of a material."""
    arrays: dict[str, Any] = {}
    for run, (row, outputs) in enumerate(zip(material.rows, material.outputs, strict=True)):
        arrays.update({f"{run}/in/{name}": array for name, array in row.items()})
        arrays.update({f"{run}/out/{number}": array for number, array in enumerate(outputs)})
    with path.open("wb") as file:
        np.savez(file, **arrays)


def read_material(
    path: Path, runs: int, seed: int, on_progress: Callable[[float], None]
) -> Material:
    """Returns a material as it was written."""
    rows: list[dict[str, np.ndarray[Any, Any]]] = [{} for _ in range(runs)]
    outputs: list[list[np.ndarray[Any, Any]]] = [[] for _ in range(runs)]
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:  # in the order in which they were written
            run, direction, name = key.split("/", 2)
            if direction == "in":
                rows[int(run)][name] = arrays[key]
            else:
                outputs[int(run)].append(arrays[key])
    return Material(rows=rows, outputs=outputs, seed=seed, on_progress=on_progress)
