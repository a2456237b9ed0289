"""LiteRT variants: converted by onnx2tf and quantised by ai-edge-quantizer, in their environment.

A network with convolutions is made for one row, and the runtime runs it once for each; others have
a free batch where that works. Measured for 16 rows on one core: a keyword spotter takes 2.0 ms row
by row and 3.3 ms with a free batch, for which onnx2tf leaves pads unfused and shape arithmetic in
the graph; a perceptron 139 us and 20 us.
"""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from edgefn.compress.converter import client, environment
from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.fixed_shapes import fixed
from edgefn.compress.graphs.onnx_model import relative_error
from edgefn.compress.recipe import Format, Material, RecipeFailed, Source
from edgefn.compress.recipes.onnx_recipe import ALREADY_QUANTISED
from edgefn.compress.recipes.runs import Runs, single_runs
from edgefn.compress.tools import missing_extra
from edgefn_runtime.backends import load_model
from edgefn_runtime.errors import EdgefnError, LoadFailed

Kind = Literal["fp32", "fp16", "int8-dynamic", "int8-static", "int4"]

Array = np.ndarray[Any, Any]

_REVISION: Final = 1
# 128 rows calibrate as well as more do (measured on six networks); these also show an error.
_RUNS: Final = 256
# Other kernels, another order of sums: 1e-6 to 1e-4; a wrong conversion is off by far more.
_TOLERANCE: Final = 1e-3
# Converted models are small, and a build makes all recipes of one model after the other.
_KEPT: Final = 4
# Rows at once, to see that a batch works.
_BATCH: Final = 3
_CONVERTED_SHARE: Final = 0.6
_SUMMARIES: Final[Mapping[Kind, str]] = {
    "fp32": "LiteRT, in 32-bit floats; the answers are the same",
    "fp16": "LiteRT, weights in 16-bit floats",
    "int8-dynamic": "LiteRT, 8-bit weights; activations quantised at run time",
    "int8-static": "LiteRT, 8-bit weights and activations by the ranges seen in the data",
    "int4": "LiteRT, 4-bit weights (8-bit where there are no 4-bit kernels), computed in floats",
}
_WEIGHTED: Final = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose"})
_CONVOLUTIONS: Final = frozenset({"Conv", "ConvTranspose"})


@dataclass(slots=True)
class Floats:
    """Models in TFLite's format that recipes share: each is converted and checked once."""

    _made: dict[str, bytes] = field(default_factory=dict)

    def of(self, source: Source, runs: Runs) -> bytes:
        """Returns the source as a TFLite file of 32-bit floats.

        Raises:
            RecipeFailed: It cannot be converted, or the result answers otherwise.
        """
        if source.format == "tflite":
            return source.data
        key = hashlib.sha256(source.data).hexdigest()
        if key not in self._made:
            made = _converted(source.data, runs)
            while len(self._made) >= _KEPT:
                del self._made[next(iter(self._made))]
            self._made[key] = made
        return self._made[key]


@dataclass(frozen=True, slots=True)
class Litert:
    """Makes a TFLite file of an ONNX model, or of a TFLite file in 32-bit floats.

    Attributes:
        kind: What becomes of the numbers.
        floats: Shared by the recipes of one build.
    """

    kind: Kind
    floats: Floats

    @property
    def name(self) -> str:
        """Of the variant."""
        return f"litert-{self.kind}"

    @property
    def summary(self) -> str:
        """What it does, in one line for a report."""
        return _SUMMARIES[self.kind]

    @property
    def version(self) -> str:
        """Of the recipe and of the locked tools."""
        return f"{_REVISION},{environment.digest()}"

    @property
    def format(self) -> Format:
        """TFLite."""
        return "tflite"

    def missing(self) -> str:
        """Returns the one line that says what to install for it, or nothing."""
        without = missing_extra("compress", ("onnx", "onnxslim"))
        without = without or missing_extra("litert", ("ai_edge_litert",))
        return without or ("" if environment.installed() else environment.MISSING)

    def skip(self, source: Source) -> str:
        """Returns why it is not worth trying on this model, or nothing."""
        if source.format == "tflite":
            return ""  # what is in it, the tools say
        try:
            model = onnx_model.load(source.data)
        except RecipeFailed as error:
            return error.message
        if onnx_model.is_quantised(model):
            return ALREADY_QUANTISED
        found = onnx_model.op_counts(model).keys()
        if self.kind != "fp32" and found.isdisjoint(_WEIGHTED):
            return "has no layer with weights that could be quantised"
        if self.kind == "int8-dynamic" and not found.isdisjoint(_CONVOLUTIONS):
            return "has convolutions, which dynamic int8 makes two to three times slower"
        return ""

    def make(self, source: Source, material: Material) -> bytes:
        """Returns the model as a TFLite file.

        Raises:
            RecipeFailed: It does not work on this model.
        """
        try:
            model = load_model(source.data, f"the model.{source.format}")
        except LoadFailed as error:
            raise RecipeFailed(error.message) from error
        runs = single_runs(model, material.rows, _RUNS)
        floats = self.floats.of(source, runs)
        if self.kind == "fp32":
            return floats
        material.on_progress(_CONVERTED_SHARE)
        made = client.quantise(floats, self.kind, inputs=runs.inputs)
        for name, answers in made.outputs.items():
            if np.isfinite(runs.outputs[name]).all() and not np.isfinite(answers).all():
                raise RecipeFailed(
                    f"its output {name!r} is infinity or not-a-number where the model as given "
                    "answers numbers"
                )
        _answers_to_batch(made.data, runs)
        if len(made.data) >= len(floats):
            raise RecipeFailed(f"{len(made.data)} bytes, no fewer than {len(floats)} in floats")
        return made.data


def litert_recipes() -> tuple[Litert, ...]:
    """Returns the recipes, those first that most often make a better variant."""
    floats = Floats()
    kinds: tuple[Kind, ...] = ("fp32", "int8-static", "int8-dynamic", "fp16", "int4")
    return tuple(Litert(kind, floats) for kind in kinds)


def _converted(data: bytes, runs: Runs) -> bytes:
    model = onnx_model.load(data)
    convolutions = not onnx_model.op_counts(model).keys().isdisjoint(_CONVOLUTIONS)
    if onnx_model.has_free_batch(model) and not convolutions:
        with contextlib.suppress(RecipeFailed):  # shapes that the graph has as constants, mostly
            return _checked(data, runs, free_batch=True)
    return _checked(data, runs, free_batch=False)


def _checked(data: bytes, runs: Runs, *, free_batch: bool) -> bytes:
    prepared = fixed(data, _shapes(runs.inputs), _shapes(runs.outputs), free_batch=free_batch)
    made = client.convert(prepared, inputs=runs.inputs, outputs=list(runs.outputs))
    _compare(runs.outputs, made.outputs)
    if free_batch:
        _compare(_batch(runs.outputs), _answers_to_batch(made.data, runs))
    return made.data


def _answers_to_batch(data: bytes, runs: Runs) -> dict[str, Array]:
    """Returns what a TFLite file answers to some rows at once, as a replica runs it.

    Raises:
        RecipeFailed: It fails.
    """
    try:
        model = load_model(data, "the converted model.tflite")
        answers = model.run(list(_batch(runs.inputs).values()))
    except EdgefnError as error:
        raise RecipeFailed(f"it does not work on several rows: {error.message}") from error
    return {info.name: answer for info, answer in zip(model.outputs, answers, strict=True)}


def _batch(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: np.concatenate(list(array[:_BATCH])) for name, array in arrays.items()}


def _compare(expected: Mapping[str, Array], found: Mapping[str, Array]) -> None:
    for name, answers in expected.items():
        other = found[name]
        if (other.shape, other.dtype) != (answers.shape, answers.dtype):
            raise RecipeFailed(
                f"converted, its output {name!r} is {other.dtype}{list(other.shape)} instead of "
                f"{answers.dtype}{list(answers.shape)}"
            )
        error = relative_error(answers, other)
        if error > _TOLERANCE:
            worst = float(np.max(np.abs(answers - other)))
            raise RecipeFailed(
                f"converted, its output {name!r} differs by {error:.2g} of its norm, {worst:.2g} "
                "at most"
            )


def _shapes(arrays: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape[1:] for name, array in arrays.items()}
