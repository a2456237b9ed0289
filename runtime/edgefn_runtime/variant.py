"""One form of a function's models: a format, a precision and a backend, with what was measured."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Final

import msgspec

BACKEND_OF_SUFFIX: Final = {".onnx": "onnx", ".tflite": "litert"}
NO_MODEL: Final = "python"
VARIANT_PATTERN: Final = r"^[a-z0-9][a-z0-9_+-]{0,62}\Z"  # $ would take a line end


class Estimate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mean over rows with its 95 % confidence interval."""

    value: float
    low: float
    high: float
    rows: int


class Latency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long one run of the models takes on a batch, in a replica."""

    batch: int
    p50_s: float
    p95_s: float


class Measurement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured of a variant when it was built.

    Attributes:
        size_bytes: Of its model files.
        load_s: From the bytes to models that are ready to run.
        private_bytes: Memory of a replica with it that no other process shares.
        latencies: Of the models alone, by batch.
        accuracy: Mean score of the function's answers against the labels; None without labels.
        agreement: Share of rows on which the function answers as with the model as given.
        snr_db: Signal-to-noise ratio of the models' outputs, the model as given being the signal;
            None if they are equal bit for bit.
        device: Name of the device profile that the latencies hold for.
    """

    size_bytes: int
    load_s: float
    private_bytes: int
    latencies: tuple[Latency, ...]
    accuracy: Estimate | None = None
    agreement: Estimate | None = None
    snr_db: float | None = None
    device: str = ""


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One form of a function's models.

    Attributes:
        name: As in `onnx-int8-static`; unique in a bundle.
        backend: What runs it: `onnx`, `litert`, `onnx+litert`, or `python` without a model.
        models: Parameter name to model file, relative to the bundle.
        recipe: How it was made, in words; empty for the models as the developer gave them.
        measured: None if nothing was.
    """

    name: Annotated[str, msgspec.Meta(pattern=VARIANT_PATTERN)]
    backend: str
    models: dict[str, str] = {}
    recipe: str = ""
    measured: Measurement | None = None

    @property
    def accuracy(self) -> float | None:
        """The measured accuracy, if there is one."""
        if self.measured is None or self.measured.accuracy is None:
            return None
        return self.measured.accuracy.value


def as_given(models: dict[str, str]) -> Variant:
    """Returns the variant that serves the models just as the developer gave them, unmeasured."""
    backend = backend_of(models.values())
    return Variant(name=backend, backend=backend, models=models)


def backend_of(paths: Iterable[str]) -> str:
    """Returns `onnx`, `litert`, `onnx+litert`, or `python` for a function without a model.

    Args:
        paths: Of the function's model files.
    """
    suffixes = {PurePosixPath(path).suffix.lower() for path in paths}
    names = [name for suffix, name in BACKEND_OF_SUFFIX.items() if suffix in suffixes]
    return "+".join(names) or NO_MODEL
