"""An ONNX model as a torch module that can be pruned and trained, and whose weights go back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.compact import compact
from edgefn.compress.graphs.fixed_shapes import fuse
from edgefn.compress.graphs.simplify import simplified
from edgefn.compress.recipe import RecipeFailed
from edgefn.compress.training.operators import Operator, operator, padding

if TYPE_CHECKING:
    import onnx

_CONVOLUTIONS: Final[dict[int, type[nn.Conv1d | nn.Conv2d | nn.Conv3d]]] = {
    1: nn.Conv1d,
    2: nn.Conv2d,
    3: nn.Conv3d,
}
Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Layer = Convolution | nn.Linear


@dataclass(frozen=True, slots=True)
class _Step:
    """One node: what computes it, and the names of what it takes and gives."""

    compute: Operator
    inputs: tuple[str, ...]
    output: str
    layer: Layer | None = None
    weights: tuple[str, ...] = ()
    transposed: bool = False


class OnnxModule(nn.Module):
    """Computes what an ONNX model computes; convolutions and matrix products are its layers.

    Attributes:
        softmax_outputs: Which outputs, by place, are probabilities.
    """

    def __init__(self, data: bytes) -> None:
        """Takes the model from the bytes of an .onnx file.

        Raises:
            RecipeFailed: It has something that cannot be trained here.
        """
        super().__init__()
        self._model = simplified(onnx_model.load(data))
        fuse(self._model)
        _unshare(self._model)
        graph = self._model.graph
        self.input_names = [value.name for value in onnx_model.fed_inputs(self._model)]
        self.output_names = [value.name for value in graph.output]
        self._arrays = _arrays(self._model)
        self._constants = nn.ParameterDict()
        self._integers: dict[str, list[int]] = {}
        self._layers = nn.ModuleList()
        self._steps = [self._step(node) for node in graph.node]
        made_by = {output: node.op_type for node in graph.node for output in node.output}
        self.softmax_outputs = [made_by.get(name) == "Softmax" for name in self.output_names]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Returns the model's outputs, in its order."""
        values: dict[str, Any] = dict(zip(self.input_names, inputs, strict=True))
        values |= self._integers | {"": None}
        values |= {_name(key): value for key, value in self._constants.items()}
        for step in self._steps:
            values[step.output] = step.compute(*[values[name] for name in step.inputs])
        return tuple(values[name] for name in self.output_names)

    def last_layers(self) -> list[nn.Module]:
        """Returns the layers whose outputs reach the model's without another layer in between."""
        by_output = {step.output: step for step in self._steps}
        pending, found = list(self.output_names), list[nn.Module]()
        while pending:
            step = by_output.pop(pending.pop(), None)
            if step is None:
                continue
            if step.layer is None:
                pending += step.inputs
            else:
                found.append(step.layer)
        return found

    def layers(self) -> list[nn.Module]:
        """Returns the layers with weights, in the order of the graph."""
        return list(self._layers)

    def to_onnx(self) -> bytes:
        """Returns the .onnx file with the weights as they are now."""
        import onnx

        new = {_name(key): value.detach().numpy() for key, value in self._constants.items()}
        for step in self._steps:
            if step.layer is None:
                continue
            weight = step.layer.weight.detach().numpy()
            new[step.weights[0]] = np.ascontiguousarray(weight.T) if step.transposed else weight
            if step.layer.bias is not None and len(step.weights) > 1:
                new[step.weights[1]] = step.layer.bias.detach().numpy()
        model = type(self._model)()
        model.CopyFrom(self._model)
        for tensor in model.graph.initializer:
            if tensor.name in new:
                tensor.CopyFrom(onnx.numpy_helper.from_array(new[tensor.name], tensor.name))
        groups = {
            step.output: step.layer.groups
            for step in self._steps
            if isinstance(step.layer, Convolution)
        }
        for node in model.graph.node:
            for attribute in node.attribute:
                if attribute.name == "group" and node.output[0] in groups:
                    attribute.i = groups[node.output[0]]
        compact(model)
        return onnx_model.save(model)

    def _step(self, node: "onnx.NodeProto") -> _Step:
        if len(node.output) != 1:
            raise RecipeFailed(f"has a {node.op_type} of several outputs, which cannot be trained")
        attributes = onnx_model.attributes(node)
        weight = self._arrays.get(node.input[1]) if len(node.input) > 1 else None
        if weight is not None and node.op_type == "Conv":
            return self._convolution(node, attributes, weight)
        if weight is not None and weight.ndim == 2 and node.op_type in ("Gemm", "MatMul"):
            return self._linear(node, attributes, weight)
        if node.op_type in ("Gemm", "MatMul", "Conv"):
            raise RecipeFailed(f"has a {node.op_type} without constant weights: cannot be trained")
        for name in node.input:
            self._keep(name)
        return _Step(operator(node.op_type, attributes), tuple(node.input), node.output[0])

    def _convolution(
        self, node: "onnx.NodeProto", attributes: dict[str, Any], weight: "np.ndarray[Any, Any]"
    ) -> _Step:
        rank = weight.ndim - 2
        pads, around = padding(attributes, rank)
        groups = attributes.get("group", 1)
        layer: Convolution = _CONVOLUTIONS[rank](
            weight.shape[1] * groups,
            weight.shape[0],
            weight.shape[2:],
            stride=tuple(attributes.get("strides", (1,) * rank)),
            padding=pads,  # type: ignore[arg-type]
            dilation=tuple(attributes.get("dilations", (1,) * rank)),
            groups=groups,
            bias=len(node.input) > 2,
        )
        compute: Operator = layer
        if around:

            def compute(x: Tensor) -> Tensor:
                padded: Tensor = layer(functional.pad(x, around))
                return padded

        return self._weighted(node, layer, weight, compute, transposed=False)

    def _linear(
        self, node: "onnx.NodeProto", attributes: dict[str, Any], weight: "np.ndarray[Any, Any]"
    ) -> _Step:
        plain = attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0
        if not plain or attributes.get("transA", 0):
            raise RecipeFailed("has a Gemm of a form that cannot be trained here")
        transposed = not attributes.get("transB", 0)
        weight = weight.T if transposed else weight
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=len(node.input) > 2)
        return self._weighted(node, layer, weight, layer, transposed=transposed)

    def _weighted(
        self,
        node: "onnx.NodeProto",
        layer: Layer,
        weight: "np.ndarray[Any, Any]",
        compute: Operator,
        *,
        transposed: bool,
    ) -> _Step:
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight.copy()))
            if layer.bias is not None:
                bias = self._arrays.get(node.input[2])
                if bias is None or bias.shape != tuple(layer.bias.shape):
                    raise RecipeFailed(f"has a {node.op_type} with a bias of an unusual shape")
                layer.bias.copy_(torch.from_numpy(bias.copy()))
        self._layers.append(layer)
        return _Step(
            compute, (node.input[0],), node.output[0],
            layer=layer, weights=tuple(node.input[1:]), transposed=transposed,
        )  # fmt: skip

    def _keep(self, name: str) -> None:
        """Keeps a constant: integers as a list, floats as a parameter, which pruning can follow."""
        array = self._arrays.get(name)
        if array is None:
            return
        if array.dtype.kind in "iu":
            self._integers[name] = array.ravel().tolist()
        else:
            self._constants[_key(name)] = nn.Parameter(torch.from_numpy(array.copy()))


def tensors(arrays: Sequence["np.ndarray[Any, Any]"]) -> list[Tensor]:
    """Returns arrays as tensors of their own."""
    return [torch.from_numpy(np.array(array)) for array in arrays]


def _arrays(model: "onnx.ModelProto") -> dict[str, "np.ndarray[Any, Any]"]:
    import onnx

    return {
        name: onnx.numpy_helper.to_array(tensor)
        for name, tensor in onnx_model.weights(model).items()
    }


def _unshare(model: "onnx.ModelProto") -> None:
    """Gives each layer weights of its own: trained, those of two layers are no longer the same."""
    tensors_by_name = onnx_model.weights(model)
    seen: set[str] = set()
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        for place, name in enumerate(node.input):
            if name in seen and name in tensors_by_name:
                copy = model.graph.initializer.add()
                copy.CopyFrom(tensors_by_name[name])
                copy.name = f"{name}/{len(seen)}"
                node.input[place] = copy.name
            seen.add(node.input[place])


def _key(name: str) -> str:
    """Returns a constant's name as torch takes names of parameters: without dots, never empty."""
    return "c" + name.encode().hex()


def _name(key: str) -> str:
    return bytes.fromhex(key[1:]).decode()
