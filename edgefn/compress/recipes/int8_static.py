"""8-bit weights and activations, with ranges found by running the model on data (QDQ)."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.compact import compact
from edgefn.compress.graphs.prepare import prepared
from edgefn.compress.graphs.products import share_of
from edgefn.compress.recipe import Material, RecipeFailed, Row
from edgefn.compress.recipes.integers import (
    LINEAR,
    REDUCE_RANGE,
    WORTH_IT_ELEMENTS,
    WORTH_IT_SHARE,
)
from edgefn.compress.recipes.onnx_recipe import ALREADY_QUANTISED, OnnxRecipe
from edgefn.compress.tools import calling

if TYPE_CHECKING:
    import onnx

_COMPUTE: Final = LINEAR | {"Conv", "ConvTranspose"}
# These only move, select or average values, and cost nothing between two integer operators.
# Others (Mul, Softmax, Div, ...) stay in floats: a fourth power of activations left 7.6 dB of the
# signal where it was quantised and 46 dB where it was not (measured, functions/monitoring).
_MOVING: Final = frozenset(
    {
        "AveragePool", "Clip", "Concat", "Flatten", "GlobalAveragePool", "MaxPool", "Pad", "Relu",
        "Reshape", "Resize", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
# 128 rows were enough on six networks, whichever way ranges were chosen (measured); the rest is
# for rare values.
_MOST_RUNS: Final = 256


class Int8Static(OnnxRecipe):
    """Quantises with unsigned activations and signed weights, from minimum to maximum.

    That pair is the only one that has fast kernels for every network that was measured: others were
    up to five times slower on a MobileNetV2. Of the ways to choose ranges, minimum and maximum,
    entropy and percentile tie, and ONNX Runtime's "distribution" ruins the model.
    """

    name = "onnx-int8-static"
    summary = "8-bit weights and activations, ranges from the function's own data"
    tools = ("numpy", "onnx", "onnxruntime")

    def unsuited(self, model: "onnx.ModelProto") -> str:
        """Returns a reason where there is nothing to quantise."""
        if onnx_model.is_quantised(model):
            return ALREADY_QUANTISED
        share = share_of(model, _COMPUTE, 1)
        if share < WORTH_IT_SHARE:
            return f"only {share:.0%} of its weights are in convolutions and linear layers"
        return ""

    def change(self, model: "onnx.ModelProto", material: Material) -> "onnx.ModelProto":
        """Returns the model with QuantizeLinear and DequantizeLinear around its operators."""
        if not material.rows:
            raise RecipeFailed("needs inputs to find ranges with: declare evaluate= or calibrate=")
        rows = _Rows(material, [value.name for value in onnx_model.fed_inputs(model)])
        ready = prepared(model)
        with calling("ONNX Runtime's quantiser"), tempfile.TemporaryDirectory() as folder:
            result = _quantised(ready, rows, Path(folder))
        if not onnx_model.is_quantised(result):
            raise RecipeFailed("ONNX Runtime's quantiser found nothing to quantise in this model")
        compact(result)
        return result


def _quantised(model: "onnx.ModelProto", rows: "_Rows", folder: Path) -> "onnx.ModelProto":
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    given, made = folder / "given.onnx", folder / "made.onnx"
    given.write_bytes(onnx_model.save(model))
    quantize_static(
        given,
        made,
        rows,
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=sorted(_COMPUTE | _MOVING | {"Add"}),
        nodes_to_exclude=left_in_floats(model),
        # One scale a channel is worth a decibel to convolutions, whose channels differ. In linear
        # layers it made a network 1.4 times slower and no better (measured).
        per_channel="Conv" in onnx_model.op_counts(model),
        reduce_range=REDUCE_RANGE,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        # There is a kernel from integers to floats: where floats follow, no step is lost.
        extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"]},
    )
    return onnx_model.load(made.read_bytes())


def left_in_floats(model: "onnx.ModelProto") -> list[str]:
    """Returns the names of the nodes that are not worth quantising, or are ruined by it."""
    constants = {
        name: int(np.prod(tensor.dims)) for name, tensor in onnx_model.weights(model).items()
    }
    made_by = {name: node for node in model.graph.node for name in node.output}

    def is_small(node: "onnx.NodeProto") -> bool:
        return (
            node.op_type in LINEAR
            and constants.get(node.input[1], WORTH_IT_ELEMENTS) < WORTH_IT_ELEMENTS
        )

    def is_residual(node: "onnx.NodeProto") -> bool:
        """Says whether two branches of a network meet; other sums belong to the arithmetic."""
        makers = [made_by[name] for name in node.input if name in made_by]
        return len(makers) == 2 and any(maker.op_type in _COMPUTE for maker in makers)

    return [
        node.name
        for node in model.graph.node
        if is_small(node) or (node.op_type == "Add" and not is_residual(node))
    ]


class _Rows:
    """Hands the rows over one by one, as ONNX Runtime's calibration asks for them."""

    def __init__(self, material: Material, inputs: Sequence[str]) -> None:
        self._inputs = inputs
        self._rows = self._spread(material)

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        """Returns the next row, or None after the last."""
        row = next(self._rows, None)
        if row is None:
            return None
        if missing := [name for name in self._inputs if name not in row]:
            raise RecipeFailed(f"no data for the input {missing[0]!r}")
        return {name: row[name] for name in self._inputs}

    @staticmethod
    def _spread(material: Material) -> Iterator[Row]:
        """Yields rows from all over the data: it may be in the order of its labels."""
        count = min(len(material.rows), _MOST_RUNS)
        for number in range(count):
            material.on_progress(0.9 * number / count)
            yield material.rows[number * len(material.rows) // count]
