"""Readies a model for quantisers: constants folded, bias and normalisation fused, names given."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefn.compress.graphs import onnx_model
from edgefn.compress.tools import calling

if TYPE_CHECKING:
    import onnx


# From this on a DequantizeLinear has a scale for each channel.
_OPSET: Final = 13


def prepared(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Returns a model that answers the same, as ONNX Runtime's basic optimisations leave it.

    Its operators are of opset 13 or later, every node has a name of its own, and the shapes of
    inner values are known as far as possible. ONNX Runtime's own `quant_pre_process` does the same,
    but keeps weights in a second file while it infers shapes, which fails where a shape depends on
    a constant (axes of a ReduceMax, say).

    Raises:
        RecipeFailed: ONNX Runtime refuses the model.
    """
    with calling("ONNX Runtime's optimiser"), tempfile.TemporaryDirectory() as folder:
        import onnx
        import onnxruntime

        if onnx_model.opset(model) < _OPSET:
            model = onnx.version_converter.convert_version(model, _OPSET)
        path = Path(folder) / "model.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        onnxruntime.InferenceSession(
            onnx_model.save(model), options, providers=["CPUExecutionProvider"]
        )
        optimised = onnx.shape_inference.infer_shapes(onnx_model.load(path.read_bytes()))
    for index, node in enumerate(optimised.graph.node):
        node.name = f"n{index}"
    # By this ONNX Runtime's quantiser knows that it need not warn.
    optimised.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    return optimised
