"""Weights in 16-bit floats: half the size, at the speed of 32 bits.

ONNX Runtime has no half-precision kernels for most operators on CPUs: a graph that computes in
float16 gets casts around its nodes, which keep them from being fused (a MobileNetV2 became 1.2 to
1.4 times slower, measured). So only the weights are kept in float16, each behind a Cast that ONNX
Runtime folds when it loads the model.
"""

from typing import TYPE_CHECKING, Final

import numpy as np

from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.compact import compact
from edgefn.compress.recipe import Material, RecipeFailed
from edgefn.compress.recipes.onnx_recipe import ALREADY_QUANTISED, OnnxRecipe

if TYPE_CHECKING:
    import onnx

# A Cast takes some 40 bytes. Small tensors are often biases, scales and offsets besides, whose
# range may be wide, and where there is nothing to gain.
_WORTH_IT_BYTES: Final = 512
_LARGEST: Final = float(np.finfo(np.float16).max)


class Fp16(OnnxRecipe):
    """Stores the weights in half precision; computes, takes and gives float32."""

    name = "onnx-fp16"
    summary = "weights stored in 16-bit floats, computed in 32"

    def unsuited(self, model: "onnx.ModelProto") -> str:
        """Returns a reason where no weights would become smaller."""
        if onnx_model.is_quantised(model):
            return ALREADY_QUANTISED
        if not any(_fits(tensor) for tensor in model.graph.initializer):
            return "has no float32 weights that are worth storing in 16 bits"
        return ""

    def change(self, model: "onnx.ModelProto", material: Material) -> "onnx.ModelProto":
        """Returns the model with its weights in half precision."""
        from onnx import TensorProto, helper, numpy_helper

        fixed = {value.name for value in (*model.graph.input, *model.graph.output)}
        casts = []
        for tensor in model.graph.initializer:
            if tensor.name in fixed or not _fits(tensor):
                continue
            half = f"{tensor.name}/float16"
            casts.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
            tensor.CopyFrom(
                numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), half)
            )
        if not casts:
            raise RecipeFailed("its weights are also inputs or outputs; they cannot be changed")
        nodes = [*casts, *model.graph.node]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        compact(model)
        return model


def _fits(tensor: "onnx.TensorProto") -> bool:
    from onnx import TensorProto, numpy_helper

    if tensor.data_type != TensorProto.FLOAT:
        return False
    values = numpy_helper.to_array(tensor)
    return values.nbytes >= _WORTH_IT_BYTES and bool((np.abs(values) <= _LARGEST).all())
