"""A device: what a variant has to run on, as this machine is measured or as a file says.

name = "line-3"
cores = 4
isa = ["asimd", "asimddp"]
memory_bytes = 2147483648
score = 812.5                 # runs a second of a fixed small network, one thread

[backends]
onnx = "1.31.1"
"""

import importlib.metadata
import os
import re
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np

from edgefn.compress.reference_network import INPUT_SHAPE, reference_network
from edgefn.errors import ConfigError
from edgefn_runtime.backends import load_model
from edgefn_runtime.variant import Latency

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

_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
_Positive = Annotated[int, msgspec.Meta(ge=1)]


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a machine has.

    Attributes:
        name: Of the device; latencies that hold for it bear it.
        cores: That a box may use.
        isa: Instruction sets of `ISA_FLAGS`.
        memory_bytes: Physical memory.
        backends: Those that it has, with their versions.
        score: Runs a second of the reference network, in one thread.
    """

    name: _Name
    cores: _Positive
    isa: tuple[str, ...] = ()
    memory_bytes: _Positive
    backends: dict[str, str]
    score: Annotated[float, msgspec.Meta(gt=0)]

    def lacks(self, backend: str, size_bytes: int | None = None) -> str:
        """Returns why a variant cannot run on it, in a few words, or nothing.

        Args:
            backend: Of the variant, as in `onnx` or `onnx+litert`.
            size_bytes: Of its models, if they have been made.
        """
        absent = [name for name in backend.split("+") if name not in self.backends]
        if absent:
            return f"the device {self.name} has no backend {' and no '.join(absent)}"
        if size_bytes is not None and size_bytes > self.memory_bytes:
            return (
                f"its {size_bytes} bytes are more than the memory of the device {self.name}, "
                f"{self.memory_bytes} bytes"
            )
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The device that a build is for, and the machine that it is measured on.

    Attributes:
        device: That will serve the variants.
        here: This machine.
    """

    device: Device
    here: Device

    @property
    def is_predicted(self) -> bool:
        """Whether latencies for the device are predicted from those of this machine."""
        return self.device.name != self.here.name

    def latencies(self, measured: Iterable[Latency]) -> tuple[Latency, ...]:
        """Returns latencies of this machine as they are to be expected on the device.

        One score is a coarse measure: a device without fast 8-bit instructions gains less from an
        int8 variant than this says. What counts is measured on the device itself.
        """
        ratio = self.here.score / self.device.score if self.is_predicted else 1.0
        return tuple(
            Latency(batch=each.batch, p50_s=each.p50_s * ratio, p95_s=each.p95_s * ratio)
            for each in measured
        )


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


def load_device(path: Path) -> Device:
    """Reads a profile.

    Raises:
        ConfigError: It cannot be read, or says something that a profile cannot.
    """
    try:
        found: Mapping[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert(found, Device)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"device profile {path}: cannot be read: {error}") from error
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"device profile {path}: {error}; `edgefn device` prints one as it should be"
        ) from error


def to_toml(device: Device) -> str:
    """Returns a profile as `load_device` reads it."""
    isa = ", ".join(f'"{flag}"' for flag in device.isa)
    lines = [
        f'name = "{device.name}"',
        f"cores = {device.cores}",
        f"isa = [{isa}]",
        f"memory_bytes = {device.memory_bytes}",
        f"score = {device.score}",
        "",
        "[backends]",
        *(f'{name} = "{version}"' for name, version in device.backends.items()),
    ]
    return "\n".join(lines) + "\n"


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
