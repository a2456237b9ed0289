"""How long a replica's models take, measured in the replica itself, on captured inputs."""

import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from edgefn_runtime.lifecycle import Measure, Measured
from edgefn_runtime.model import Model, ModelRunFailed
from edgefn_runtime.variant import Latency

LEAST_RUNS: Final = 3
MOST_RUNS: Final = 2000
_MEMORY: Final = "/proc/self/smaps_rollup"
_PRIVATE: Final = ("Private_Clean:", "Private_Dirty:")

Array = np.ndarray[Any, Any]
Inputs = Mapping[str, Array]


class Measuring:
    """Measures the models of one replica.

    Args:
        models: Loaded, by parameter.
        load_s: How long that took.
    """

    def __init__(self, models: Mapping[str, Model], load_s: float) -> None:
        self._models = models
        self._load_s = load_s

    def measure(self, asked: Measure) -> Measured:
        """Runs the models as long as was asked.

        Raises:
            ModelRunFailed: A model does not even take the inputs as they are.
            OSError: A file of inputs cannot be read.
        """
        captured = {name: read_inputs(path) for name, path in asked.inputs.items()}
        latencies = []
        for batch in asked.batches:
            inputs = {name: stack(runs, batch) for name, runs in captured.items()}
            if self._takes(inputs):
                latencies.append(self._latency(batch, inputs, asked.slice_s))
        if asked.batches and not latencies and captured:
            as_they_are = {name: runs[0] for name, runs in captured.items()}
            self._run(as_they_are)
            batch = _rows(next(iter(as_they_are.values())))
            latencies.append(self._latency(batch, as_they_are, asked.slice_s))
        return Measured(
            latencies=tuple(latencies), load_s=self._load_s, private_bytes=private_bytes()
        )

    def _takes(self, inputs: Mapping[str, Inputs | None]) -> bool:
        """Whether all models run on these inputs; also warms them up."""
        try:
            self._run(inputs)
        except ModelRunFailed:
            return False
        return bool(inputs)

    def _run(self, inputs: Mapping[str, Inputs | None]) -> None:
        for name, arrays in inputs.items():
            if arrays is None:
                raise ModelRunFailed(f"the inputs of {name} cannot be stacked")
            self._models[name](*arrays.values())  # in the order in which they were captured

    def _latency(self, batch: int, inputs: Mapping[str, Any], slice_s: float) -> Latency:
        runs = [(self._models[name], list(arrays.values())) for name, arrays in inputs.items()]
        durations_s: list[float] = []
        ending_s = time.perf_counter() + slice_s
        while len(durations_s) < LEAST_RUNS or (
            len(durations_s) < MOST_RUNS and time.perf_counter() < ending_s
        ):
            started_s = time.perf_counter()
            for model, arrays in runs:
                model(*arrays)
            durations_s.append(time.perf_counter() - started_s)
        durations_s.sort()  # not np.quantile, which takes 7 MB of the memory that is measured
        p50_s, p95_s = (durations_s[int(share * (len(durations_s) - 1))] for share in (0.5, 0.95))
        return Latency(batch=batch, p50_s=p50_s, p95_s=p95_s)


def read_inputs(path: str) -> list[dict[str, Array]]:
    """Returns the runs in an `.npz` file with arrays `<run>/<input>`, in order."""
    runs: dict[int, dict[str, Array]] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            run, _, name = key.partition("/")
            runs.setdefault(int(run), {})[name] = arrays[key]
    return [runs[number] for number in sorted(runs)]


def stack(runs: list[dict[str, Array]], batch: int) -> dict[str, Array] | None:
    """Returns inputs of `batch` rows, made of those of runs by turns.

    Returns:
        None if the arrays of a run do not agree on how many rows they are.
    """
    alike = [run for run in runs if _shapes(run) == _shapes(runs[0])]
    if any(array.ndim == 0 for array in alike[0].values()) or len(
        {len(array) for array in alike[0].values()}
    ) != 1:  # fmt: skip
        return None
    stacked = {}
    for name in alike[0]:
        rows = np.concatenate([run[name] for run in alike])
        stacked[name] = np.ascontiguousarray(rows[np.arange(batch) % len(rows)])
    return stacked


def private_bytes() -> int:
    """Returns how much memory of this process no other one shares."""
    with open(_MEMORY) as file:
        lines = [line.split() for line in file]
    return sum(int(words[1]) * 1024 for words in lines if words and words[0] in _PRIVATE)


def _shapes(run: Inputs) -> list[tuple[int, ...]]:
    return [array.shape[1:] for array in run.values()]


def _rows(run: Inputs) -> int:
    first = next(iter(run.values()))
    return max(1, len(first)) if first.ndim else 1
