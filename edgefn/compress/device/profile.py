"""A device: what a variant has to run on. A file says so:

name = "line-3"
cores = 4
isa = ["asimd", "asimddp"]
memory_bytes = 2147483648
score = 812.5                 # runs a second of a fixed small network, one thread

[backends]
onnx = "1.31.1"
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from edgefn.errors import ConfigError
from edgefn_runtime.variant import Latency

_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")]
_Positive = Annotated[int, msgspec.Meta(ge=1)]
# From a microcontroller to far beyond any core; also excludes nan and inf, which TOML can spell.
_Score = Annotated[float, msgspec.Meta(ge=0.001, le=1e7)]


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a machine has.

    Attributes:
        name: Of the device; latencies that hold for it bear it.
        cores: That a box may use.
        isa: Instruction sets that matter (see `edgefn.compress.device.machine`).
        memory_bytes: Physical memory.
        backends: Those that it has, with their versions.
        score: Runs a second of the reference network, in one thread.
    """

    name: _Name
    cores: _Positive
    isa: tuple[str, ...] = ()
    memory_bytes: _Positive
    backends: dict[str, str]
    score: _Score

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
        """Whether latencies for the device are predicted from those of this machine.

        A name alone does not make two machines one: what decides their speed has to agree.
        """
        return _kind(self.device) != _kind(self.here)

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


def _kind(device: Device) -> tuple[object, ...]:
    return device.name, device.cores, frozenset(device.isa), device.backends


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
