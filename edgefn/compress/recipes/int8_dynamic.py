"""8-bit weights, and activations that are quantised as they come: needs no data."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.compact import compact
from edgefn.compress.graphs.prepare import prepared
from edgefn.compress.graphs.products import products, unfuse
from edgefn.compress.recipe import Material
from edgefn.compress.recipes.integers import (
    REDUCE_RANGE,
    WORTH_IT_ELEMENTS,
    too_little_in_products,
)
from edgefn.compress.recipes.onnx_recipe import ALREADY_QUANTISED, OnnxRecipe
from edgefn.compress.tools import calling

if TYPE_CHECKING:
    import onnx


class Int8Dynamic(OnnxRecipe):
    """Quantises MatMul and Gemm, and never a convolution.

    ConvInteger has no fast kernel: a MobileNetV2 was 7.5 times slower with it than in float32,
    a small keyword network 5 to 12 times (measured; onnxruntime 1.31, AVX-512 VNNI).
    """

    name = "onnx-int8-dynamic"
    summary = "8-bit weights of linear layers; activations quantised at run time"
    tools = ("numpy", "onnx", "onnxruntime")

    def unsuited(self, model: "onnx.ModelProto") -> str:
        """Returns a reason where there is nothing to quantise but convolutions."""
        if onnx_model.is_quantised(model):
            return ALREADY_QUANTISED
        return too_little_in_products(model, WORTH_IT_ELEMENTS)

    def change(self, model: "onnx.ModelProto", material: Material) -> "onnx.ModelProto":
        """Returns the model with the weights of its linear layers in 8 bits."""
        ready = prepared(model)
        unfuse(ready)
        with calling("ONNX Runtime's quantiser"), tempfile.TemporaryDirectory() as folder:
            from onnxruntime.quantization import QuantType, quantize_dynamic

            given, made = Path(folder) / "given.onnx", Path(folder) / "made.onnx"
            given.write_bytes(onnx_model.save(ready))
            quantize_dynamic(
                given,
                made,
                op_types_to_quantize=["MatMul"],
                nodes_to_quantize=[p.node.name for p in products(ready, WORTH_IT_ELEMENTS)],
                weight_type=QuantType.QInt8,
                reduce_range=REDUCE_RANGE,
                # One scale a matrix is as good within a decibel on what was measured, smaller,
                # and lets a matrix and its transpose be stored once.
                per_channel=False,
            )
            result = onnx_model.load(made.read_bytes())
        compact(result)
        return result
