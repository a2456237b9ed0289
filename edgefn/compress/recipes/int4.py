"""4-bit weights in blocks (MatMulNBits of ONNX Runtime): the smallest form of linear layers."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.compact import compact
from edgefn.compress.graphs.prepare import prepared
from edgefn.compress.graphs.products import Matrix, Product, products, unfuse
from edgefn.compress.recipe import Material, RecipeFailed
from edgefn.compress.recipes.integers import too_little_in_products
from edgefn.compress.recipes.onnx_recipe import ALREADY_QUANTISED, OnnxRecipe

if TYPE_CHECKING:
    import onnx

# The smallest block that there are fast kernels for, and so the most accurate: 28 to 34 dB were
# left with it on three networks.
_BLOCK: Final = 32
# Activations quantised to 8 bits inside the kernel: 1.4 times faster than level 0 (measured).
_ACCURACY_LEVEL: Final = 4
_WORTH_IT_ELEMENTS: Final = 1024
_DOMAIN: Final = "com.microsoft"


class Int4(OnnxRecipe):
    """Quantises linear layers to 4 bits a weight and one scale for each 32 of them.

    Written here rather than with onnxruntime's MatMulNBitsQuantizer, which sets up the program's
    logging when it is imported, and leaves Gemm as it is without a word.
    """

    name = "onnx-int4"
    summary = "4-bit weights of linear layers, in blocks of 32"
    tools = ("numpy", "onnx", "onnxruntime")

    def unsuited(self, model: "onnx.ModelProto") -> str:
        """Returns a reason where there is no linear layer to quantise."""
        if onnx_model.is_quantised(model):
            return ALREADY_QUANTISED
        return too_little_in_products(model, _WORTH_IT_ELEMENTS)

    def change(self, model: "onnx.ModelProto", material: Material) -> "onnx.ModelProto":
        """Returns the model with the weights of its linear layers in 4 bits."""
        from onnx import helper

        ready = prepared(model)
        unfuse(ready)
        found = list(products(ready, _WORTH_IT_ELEMENTS))
        if not found:
            raise RecipeFailed("its linear layers have no constant weights to quantise")
        for done, product in enumerate(found):
            ready.graph.node[product.index].CopyFrom(_quantised(ready, product))
            material.on_progress(0.9 * done / len(found))
        if all(entry.domain != _DOMAIN for entry in ready.opset_import):
            ready.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
        compact(ready)
        return ready


def pack(matrix: Matrix) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Returns a matrix (inputs, outputs) in 4 bits, and the scales.

    The weights of an output stand in a row, cut into blocks, two to a byte, the first in the low
    half: (outputs, blocks, 16). A weight is (half - 8) * scale, the scales being (outputs, blocks).
    """
    inputs, outputs = matrix.shape
    blocks = -(-inputs // _BLOCK)
    padded = np.zeros((outputs, blocks * _BLOCK), np.float32)
    padded[:, :inputs] = matrix.T
    rows = padded.reshape(outputs, blocks, _BLOCK)
    # The value that is largest either way becomes -8, as only the negative side reaches that far.
    place = np.abs(rows).argmax(axis=2, keepdims=True)
    scales = np.take_along_axis(rows, place, axis=2) / np.float32(-8)
    steps = np.divide(rows, scales, out=np.zeros_like(rows), where=scales != 0)
    halves = (np.clip(np.rint(steps), -8, 7) + 8).astype(np.uint8)
    return halves[:, :, 0::2] | (halves[:, :, 1::2] << 4), scales[:, :, 0]


def _quantised(model: "onnx.ModelProto", product: Product) -> "onnx.NodeProto":
    from onnx import helper, numpy_helper

    node, (inputs, outputs) = product.node, product.matrix.shape
    packed, scales = pack(product.matrix)
    name = f"int4/{product.index}"
    model.graph.initializer.append(numpy_helper.from_array(packed, f"{name}/weights"))
    model.graph.initializer.append(numpy_helper.from_array(scales, f"{name}/scales"))
    return helper.make_node(
        "MatMulNBits",
        [node.input[0], f"{name}/weights", f"{name}/scales"],
        node.output,
        domain=_DOMAIN,
        K=inputs,
        N=outputs,
        bits=4,
        block_size=_BLOCK,
        accuracy_level=_ACCURACY_LEVEL,
    )
