"""What ONNX's operators without weights do, in PyTorch: those of common CNNs and perceptrons."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from edgefn.compress.recipe import RecipeFailed

Attributes = Mapping[str, Any]
Operator = Callable[..., Tensor]


def operator(name: str, attributes: Attributes) -> Operator:
    """Returns what computes an operator from its inputs; those left out are None.

    Raises:
        RecipeFailed: There is none in PyTorch here.
    """
    found = _OPERATORS.get(name)
    if found is None:
        raise RecipeFailed(f"has the operator {name}, which cannot be trained here")
    return found(attributes)


def padding(attributes: Attributes, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns a kernel's symmetric padding, and what F.pad takes for the rest of it.

    Raises:
        RecipeFailed: It depends on the shape of the input.
    """
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise RecipeFailed(f"pads as {attributes['auto_pad'].decode()}, which cannot be trained")
    pads = tuple(attributes.get("pads", (0,) * (2 * rank)))
    begin, end = pads[:rank], pads[rank:]
    if begin == end:
        return begin, ()
    around = [size for pair in zip(reversed(begin), reversed(end), strict=True) for size in pair]
    return (0,) * rank, tuple(around)


def _simple(function: Callable[..., Tensor]) -> Callable[[Attributes], Operator]:
    return lambda attributes: function


def _numbers(value: Any) -> list[int]:
    """Returns a constant of integers, which is a tensor or was an attribute in older opsets."""
    return [int(number) for number in (value.tolist() if isinstance(value, Tensor) else value)]


def _reduced(function: Callable[..., Tensor]) -> Callable[[Attributes], Operator]:
    def make(attributes: Attributes) -> Operator:
        keep = bool(attributes.get("keepdims", 1))

        def reduce(x: Tensor, axes: Any = None) -> Tensor:
            given = attributes.get("axes") if axes is None else axes
            return function(x, _numbers(given) if given is not None else list(range(x.ndim)), keep)

        return reduce

    return make


def _softmax(attributes: Attributes) -> Operator:
    return lambda x: torch.softmax(x, attributes.get("axis", -1))


def _log_softmax(attributes: Attributes) -> Operator:
    return lambda x: torch.log_softmax(x, attributes.get("axis", -1))


def _clip(attributes: Attributes) -> Operator:
    def clip(x: Tensor, least: Tensor | None = None, most: Tensor | None = None) -> Tensor:
        low = attributes.get("min") if least is None else float(least)
        high = attributes.get("max") if most is None else float(most)
        return torch.clamp(x, low, high)

    return clip


def _flatten(attributes: Attributes) -> Operator:
    if attributes.get("axis", 1) != 1:
        raise RecipeFailed(f"flattens from axis {attributes['axis']}, which cannot be trained here")
    return lambda x: torch.flatten(x, 1)


def _reshape(attributes: Attributes) -> Operator:
    def reshape(x: Tensor, shape: Any) -> Tensor:
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(_numbers(shape))]
        if len(sizes) == 2:  # as a flattening, after which pruning can follow the channels
            return torch.flatten(x, 1) if sizes[0] in (-1, x.shape[0]) else x.reshape(sizes)
        return x.reshape(sizes)

    return reshape


def _transpose(attributes: Attributes) -> Operator:
    return lambda x: x.permute(attributes.get("perm", tuple(range(x.ndim))[::-1]))


def _squeeze(attributes: Attributes) -> Operator:
    def squeeze(x: Tensor, axes: Any = None) -> Tensor:
        given = attributes.get("axes") if axes is None else axes
        return x.squeeze() if given is None else x.squeeze(tuple(_numbers(given)))

    return squeeze


def _unsqueeze(attributes: Attributes) -> Operator:
    def unsqueeze(x: Tensor, axes: Any = None) -> Tensor:
        for axis in sorted(_numbers(attributes.get("axes") if axes is None else axes)):
            x = x.unsqueeze(axis)
        return x

    return unsqueeze


def _concat(attributes: Attributes) -> Operator:
    return lambda *parts: torch.cat(parts, attributes["axis"])


def _pool(one: Any, two: Any, average: bool) -> Callable[[Attributes], Operator]:
    def make(attributes: Attributes) -> Operator:
        kernel = tuple(attributes["kernel_shape"])
        pads, around = padding(attributes, len(kernel))
        dilations = set(attributes.get("dilations", (1,)))
        if around or len(kernel) > 2 or dilations != {1} or attributes.get("ceil_mode", 0):
            raise RecipeFailed("has a pooling of a form that cannot be trained here")
        function = one if len(kernel) == 1 else two
        strides = tuple(attributes.get("strides", (1,) * len(kernel)))
        more = (
            {"count_include_pad": bool(attributes.get("count_include_pad", 0))} if average else {}
        )
        return lambda x: function(x, kernel, strides, pads, **more)

    return make


def _global(function: Callable[..., Tensor]) -> Callable[[Attributes], Operator]:
    return lambda attributes: lambda x: function(x, list(range(2, x.ndim)), True)


def _sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.sum(x, axes, keepdim=keep)


def _mean(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.mean(x, axes, keepdim=keep)


def _leaky(attributes: Attributes) -> Operator:
    return lambda x: functional.leaky_relu(x, attributes.get("alpha", 0.01))


def _elu(attributes: Attributes) -> Operator:
    return lambda x: functional.elu(x, attributes.get("alpha", 1.0))


def _hard_sigmoid(attributes: Attributes) -> Operator:
    alpha, beta = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    return lambda x: torch.clamp(alpha * x + beta, 0, 1)


def _gelu(attributes: Attributes) -> Operator:
    how = attributes.get("approximate", b"none").decode()
    return lambda x: functional.gelu(x, approximate=how)


_OPERATORS: Final[Mapping[str, Callable[[Attributes], Operator]]] = {
    "Abs": _simple(torch.abs),
    "Add": _simple(torch.add),
    "AveragePool": _pool(functional.avg_pool1d, functional.avg_pool2d, True),
    "Clip": _clip,
    "Concat": _concat,
    "Div": _simple(torch.div),
    "Elu": _elu,
    "Erf": _simple(torch.erf),
    "Exp": _simple(torch.exp),
    "Flatten": _flatten,
    "Gelu": _gelu,
    "GlobalAveragePool": _global(_mean),
    "GlobalMaxPool": _global(torch.amax),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _simple(functional.hardswish),
    "Identity": _simple(lambda x: x),
    "LeakyRelu": _leaky,
    "Log": _simple(torch.log),
    "LogSoftmax": _log_softmax,
    "Max": _simple(torch.maximum),
    "MaxPool": _pool(functional.max_pool1d, functional.max_pool2d, False),
    "Min": _simple(torch.minimum),
    "Mul": _simple(torch.mul),
    "Neg": _simple(torch.neg),
    "Pow": _simple(torch.pow),
    "ReduceMax": _reduced(torch.amax),
    "ReduceMean": _reduced(_mean),
    "ReduceMin": _reduced(torch.amin),
    "ReduceSum": _reduced(_sum),
    "Relu": _simple(torch.relu),
    "Reshape": _reshape,
    "Sigmoid": _simple(torch.sigmoid),
    "Softmax": _softmax,
    "Softplus": _simple(functional.softplus),
    "Sqrt": _simple(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _simple(torch.sub),
    "Tanh": _simple(torch.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
