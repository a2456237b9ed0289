"""The profile of this machine, its speed measured."""

import importlib.metadata
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from edgefn.compress.device.profile import Device
from edgefn.compress.device.reference_network import INPUT_SHAPE, reference_network
from edgefn_runtime.backends import load_model

# Those on which the speed of int8 and half precision turns; of the kernel's names.
ISA_FLAGS: Final = (
    "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx_vnni",
    "amx_int8", "neon", "asimd", "asimdhp", "asimddp", "i8mm", "sve", "bf16",
)  # fmt: skip
_DISTRIBUTIONS: Final = {
    "onnx": ("onnxruntime",),
    "litert": ("ai-edge-litert", "tflite-runtime"),
}
_ROUNDS: Final = 7
_ROUND_S: Final = 0.1


def this_device(name: str, *, score: float | None = None) -> Device:
    """Returns a profile of this machine.

    Args:
        name: Of this machine.
        score: If it is known; measuring it takes about a second.

    Raises:
        LoadFailed: It has no ONNX Runtime to be measured with.
    """
    return Device(
        name=name,
        cores=len(os.sched_getaffinity(0)),
        isa=isa_of(_cpuinfo()),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        backends=backends(),
        score=measured_score(time.perf_counter) if score is None else score,
    )


def isa_of(cpuinfo: str) -> tuple[str, ...]:
    """Returns the instruction sets that matter, from the text of /proc/cpuinfo."""
    lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    found = set(lines[0].split()) if lines else set()
    return tuple(flag for flag in ISA_FLAGS if flag in found)


def backends() -> dict[str, str]:
    """Returns the backends that are installed here, with their versions."""
    found = {}
    for backend, distributions in _DISTRIBUTIONS.items():
        for distribution in distributions:
            try:
                found[backend] = importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                continue
            break
    return found


def measured_score(clock_s: Callable[[], float]) -> float:
    """Returns how often a second the reference network runs: of the best of a few short rounds.

    The best, because whatever else the machine does can only slow a round down.
    """
    model = load_model(reference_network(), "reference.onnx")
    image = np.full(INPUT_SHAPE, 0.5, np.float32)
    best = 0.0
    for _ in range(_ROUNDS):
        runs, started_s = 0, clock_s()
        while (elapsed_s := clock_s() - started_s) < _ROUND_S:
            model.run([image])
            runs += 1
        best = max(best, runs / elapsed_s)
    return float(f"{best:.4g}")


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
