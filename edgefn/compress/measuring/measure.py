"""Measures variants in the very process that will serve them: a replica, forked as a box forks it.

What else runs on a machine only ever adds to a latency. So all variants are run in turns, a short
slice each, round by round, and of each variant's rounds the quietest one counts. The rounds are
spread over several replicas and so over more time: with one replica each, the same network took 7.7
us in one build and 13.8 in the next.
"""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgefn.bundle.description import Declared
from edgefn.compress.evaluation.captured import Captured
from edgefn.compress.measuring.replicas import Replica, ReplicaLost, Replicas
from edgefn.compress.progress import OnShare
from edgefn_runtime.lifecycle import Measure, Measured, ModelFile, ReplicaConfig
from edgefn_runtime.variant import Latency, Measurement

BATCHES: Final = (1, 2, 4, 8, 16)
ROUNDS: Final = 4  # with each of its replicas
REPLICAS: Final = 3
SLICE_S: Final = 0.02

Models = Mapping[str, Path]


def measure(
    file: Path,
    declared: Declared,
    variants: Mapping[str, Models],
    captured: Captured,
    on_share: OnShare = lambda share: None,
    *,
    rounds: int = ROUNDS,
) -> dict[str, Measurement | str]:
    """Measures size, load time, private memory and latency of variants; their models alone.

    Call it on a thread that lives as long: the kernel ends the replicas with it.

    Args:
        file: The declaring file.
        declared: The function.
        variants: Files of each variant, by parameter.
        captured: Inputs to run the models on.
        on_share: Called with the share of the work that is done.
        rounds: How often each of a variant's replicas gets its turn.

    Returns:
        Of each variant what was found, without accuracy and device, or why it does not run.
    """
    if not any(captured.inputs.values()):
        return dict.fromkeys(variants, "the function does not run its model on any calibration row")
    with Replicas() as replicas:
        work = _Work(replicas, file, declared, variants, captured)
        return work.run(rounds, on_share)


class _Work:
    def __init__(
        self,
        replicas: Replicas,
        file: Path,
        declared: Declared,
        variants: Mapping[str, Models],
        captured: Captured,
    ) -> None:
        self._replicas = replicas
        self._file = file
        self._declared = declared
        self._variants = variants
        self._inputs = _write_inputs(captured, replicas.folder)
        self._started = 0
        self._loads_s: dict[str, list[float]] = {name: [] for name in variants}
        self._found: dict[str, list[Measured]] = {name: [] for name in variants}
        self._lost: dict[str, str] = {}

    def run(self, rounds: int, on_share: OnShare) -> dict[str, Measurement | str]:
        """Measures all."""
        for number in range(REPLICAS):
            with ExitStack() as stack:
                running = self._load_all(stack)
                for turn in range(rounds):
                    on_share((number * rounds + turn) / (REPLICAS * rounds))
                    for name, replica in running.items():
                        if name not in self._lost:
                            self._round(name, replica)
        return {name: self._lost.get(name) or self._measurement(name) for name in self._variants}

    def _load_all(self, stack: ExitStack) -> dict[str, Replica]:
        """Starts a replica of each variant and notes how long its models took to load."""
        running = {}
        for name in self._variants:
            if name in self._lost:
                continue
            try:
                replica = self._replicas.start(self._config(name))
                stack.callback(replica.close)
                asked = Measure(inputs={}, batches=(), slice_s=0.0)
                self._loads_s[name].append(replica.measure(asked).load_s)
                running[name] = replica
            except ReplicaLost as error:
                self._lost[name] = f"it does not load: {error}"
        return running

    def _round(self, name: str, replica: Replica) -> None:
        try:
            asked = Measure(inputs=self._inputs, batches=BATCHES, slice_s=SLICE_S)
            self._found[name].append(replica.measure(asked))
        except ReplicaLost as error:
            self._lost[name] = str(error)

    def _measurement(self, name: str) -> Measurement:
        files = set(self._variants[name].values())
        return Measurement(
            size_bytes=sum(path.stat().st_size for path in files),
            load_s=min(self._loads_s[name]),
            private_bytes=self._found[name][-1].private_bytes,
            latencies=quietest([found.latencies for found in self._found[name]]),
        )

    def _config(self, name: str) -> ReplicaConfig:
        self._started += 1
        own = self._replicas.folder / str(self._started)
        return ReplicaConfig(
            replica=f"m{self._started}",
            function=self._declared.spec.name,
            revision=0,
            variant=name,
            root=str(self._file.parent.resolve()),
            module=self._file.name,
            attribute=self._declared.attribute,
            models={
                parameter: ModelFile(str(path.resolve()), _digest(path))
                for parameter, path in self._variants[name].items()
            },
            socket=f"{own}.sock",
            status=f"{own}.page",
        )


def quietest(rounds: list[tuple[Latency, ...]]) -> tuple[Latency, ...]:
    """Returns the lowest p50 and p95 of any round, batch by batch."""
    by_batch: dict[int, list[Latency]] = {}
    for latencies in rounds:
        for latency in latencies:
            by_batch.setdefault(latency.batch, []).append(latency)
    return tuple(
        Latency(
            batch=batch,
            p50_s=min(latency.p50_s for latency in found),
            p95_s=min(latency.p95_s for latency in found),
        )
        for batch, found in sorted(by_batch.items())
    )


def _write_inputs(captured: Captured, folder: Path) -> dict[str, str]:
    """Writes as many runs of each model as the largest batch needs; returns the files."""
    files = {}
    for parameter, runs in captured.inputs.items():
        if runs:
            files[parameter] = str(folder / f"{parameter}.npz")
            arrays: dict[str, Any] = {
                f"{number}/{name}": np.asarray(array)
                for number, run in enumerate(runs[: max(BATCHES)])
                for name, array in run.items()
            }
            np.savez(files[parameter], **arrays)
    return files


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
