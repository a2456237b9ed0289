"""ONNX models as bytes: parse, serialise, and say what is in them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefn.compress.recipe import RecipeFailed, Row
from edgefn.compress.tools import silence_telemetry
from edgefn_runtime.backends.onnx import OnnxModel
from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.model import ModelRunFailed

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]

# ONNX's names of its own operators; ORT's are in com.microsoft.
ONNX_DOMAINS: Final = ("", "ai.onnx")
_QUANTISED: Final = frozenset(
    {
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "ConvInteger",
        "QLinearConv",
        "QLinearMatMul",
        "MatMulNBits",
    }
)


def load(data: bytes) -> "onnx.ModelProto":
    """Returns the model in the bytes of an .onnx file.

    Raises:
        RecipeFailed: They are no ONNX model, or its weights are in other files.
    """
    silence_telemetry()
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise RecipeFailed(f"{len(data)} bytes are no ONNX model: {error}") from error
    if not model.graph.output:
        raise RecipeFailed(f"{len(data)} bytes are no ONNX model: it has no outputs")
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise RecipeFailed(
                f"the weights {tensor.name!r} are in another file; save the model as one file "
                "(onnx.save_model with save_as_external_data=False)"
            )
    return model


def save(model: "onnx.ModelProto") -> bytes:
    """Returns the bytes of an .onnx file; the same model always gives the same."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def opset(model: "onnx.ModelProto") -> int:
    """Returns the version of ONNX's operators that the model uses."""
    return max(
        (entry.version for entry in model.opset_import if entry.domain in ONNX_DOMAINS), default=0
    )


def op_counts(model: "onnx.ModelProto") -> Counter[str]:
    """Returns how often each operator is in the graph, those of subgraphs not counted."""
    return Counter(node.op_type for node in model.graph.node)


def is_quantised(model: "onnx.ModelProto") -> bool:
    """Says whether some of the model is computed or stored in integers already."""
    return not _QUANTISED.isdisjoint(op_counts(model))


def has_free_batch(model: "onnx.ModelProto") -> bool:
    """Says whether the first dimension of every input can be of any size."""
    return all(
        bool(shape.dim) and not shape.dim[0].HasField("dim_value")
        for shape in (value.type.tensor_type.shape for value in fed_inputs(model))
    )


def fed_inputs(model: "onnx.ModelProto") -> "list[onnx.ValueInfoProto]":
    """Returns the inputs that a caller gives: old files list their weights as inputs as well."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def weights(model: "onnx.ModelProto") -> "dict[str, onnx.TensorProto]":
    """Returns the constant tensors of the graph by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def attributes(node: "onnx.NodeProto") -> dict[str, Any]:
    """Returns the attributes of a node by name, decoded."""
    import onnx

    return {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}


def subgraphs(node: "onnx.NodeProto") -> "Iterator[onnx.GraphProto]":
    """Yields the bodies of a control-flow node."""
    for entry in node.attribute:
        if entry.HasField("g"):
            yield entry.g
        yield from entry.graphs


def answers(data: bytes, row: Row) -> list[Array]:
    """Returns what a model answers to one mapping of input names to arrays, as a replica would.

    Raises:
        RecipeFailed: ONNX Runtime refuses the model, or it fails on this row.
    """
    try:
        model = OnnxModel(data, "the model")
        return model.run([row[info.name] for info in model.inputs])
    except (LoadFailed, ModelRunFailed) as error:
        raise RecipeFailed(str(error)) from error
    except KeyError as error:
        raise RecipeFailed(f"no data for the input {error}") from error


def made_up_row(model: "onnx.ModelProto", seed: int) -> dict[str, Array]:
    """Returns plausible inputs of a model of which none are known; free dimensions become 2."""
    import onnx

    rng = np.random.default_rng(seed)
    row: dict[str, Array] = {}
    for value in fed_inputs(model):
        tensor = value.type.tensor_type
        shape = [dim.dim_value if dim.HasField("dim_value") else 2 for dim in tensor.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        # Integers are most often indices or masks, of which 0 and 1 are always allowed.
        floating = np.issubdtype(dtype, np.floating)
        drawn = rng.standard_normal(shape) if floating else rng.integers(0, 2, shape)
        row[value.name] = np.asarray(drawn).astype(dtype)
    return row


def relative_error(expected: Array, found: Array) -> float:
    """Returns the norm of the difference over the norm of what is expected; inf if they misfit."""
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return float("inf")
    if not np.issubdtype(expected.dtype, np.floating):
        return 0.0 if np.array_equal(expected, found) else float("inf")
    same = (expected == found) | (np.isnan(expected) & np.isnan(found))  # infinities included
    if same.all():
        return 0.0
    wide = expected.astype(np.float64)
    noise = float(np.linalg.norm(np.where(same, 0.0, wide - found)))
    signal = float(np.linalg.norm(np.where(np.isfinite(wide), wide, 0.0)))
    return noise / signal if signal and np.isfinite(noise) else float("inf")


def users(model: "onnx.ModelProto") -> Mapping[str, int]:
    """Returns how many nodes' inputs, subgraphs' included, and outputs each value is read by."""
    counts: Counter[str] = Counter(value.name for value in model.graph.output)
    pending = [model.graph]
    while pending:
        for node in pending.pop().node:
            counts.update(node.input)
            for body in subgraphs(node):
                counts.update(value.name for value in body.output)
                pending.append(body)
    return counts
