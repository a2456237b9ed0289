"""Of what variants were made: the part of a record that explains the rest."""

import importlib.metadata
import platform
from typing import Any, Final

import msgspec

from edgefn.bundle.record import FunctionRecord
from edgefn.compress.device.profile import Device
from edgefn.compress.outcome import Outcome

_TOOLS: Final = (
    "edgefn", "onnxruntime", "onnx", "onnxslim", "ai-edge-litert", "torch", "torch-pruning",
    "numpy",
)  # fmt: skip


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """What variants were judged by.

    Attributes:
        digest: Of all rows, labels included.
        rows: That were evaluated.
        calibration_rows: That were set aside for calibration and fine-tuning.
        labelled: Whether the rows have labels.
    """

    digest: str
    rows: int
    calibration_rows: int
    labelled: bool


class MadeWith(msgspec.Struct, frozen=True, kw_only=True):
    """How the variants of a function came to be.

    Attributes:
        versions: Of the tools.
        device: That the latencies hold for.
        measured_on: That they were measured on.
        data: None if there was none; then nothing was judged.
        max_accuracy_drop: What a variant was allowed to lose.
        tried: Every variant that was thought of, and what became of it.
    """

    versions: dict[str, str]
    device: Device
    measured_on: Device
    data: Data | None = None
    max_accuracy_drop: float
    tried: tuple[Outcome, ...]

    def as_dict(self) -> dict[str, Any]:
        """Returns what a record keeps of it."""
        return dict(msgspec.to_builtins(self))


def made_with(record: FunctionRecord) -> MadeWith | None:
    """Returns how the variants of a record came to be; None if it does not say."""
    try:
        return msgspec.convert(record.made_with, MadeWith)
    except msgspec.ValidationError:
        return None


def versions() -> dict[str, str]:
    """Returns the versions of the tools that are installed, Python first."""
    found = {"python": platform.python_version()}
    for name in _TOOLS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
