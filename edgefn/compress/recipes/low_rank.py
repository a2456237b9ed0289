"""Wide linear layers as the product of two narrow ones (truncated singular values)."""

from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.compact import compact
from edgefn.compress.graphs.products import Matrix, Product, products, unfuse, weight_count
from edgefn.compress.recipe import Material, RecipeFailed
from edgefn.compress.recipes.onnx_recipe import ALREADY_QUANTISED, OnnxRecipe

if TYPE_CHECKING:
    import onnx

# The share of the squared weights that stays. At 0.8 networks lost 0.6 points and more before they
# were trained again (measured), which is not done here; the gate judges the rest.
_ENERGY: Final = 0.9
# A second product costs a call of a kernel, which less than this does not pay for; neither does
# less than this of a whole model pay for a variant.
_SAVES_AT_LEAST: Final = 0.1
# Smaller layers take less time than the call of a kernel does.
_WORTH_IT_ELEMENTS: Final = 2048


class LowRank(OnnxRecipe):
    """Cuts the small singular values off the weights of linear layers.

    Eckart and Young, 1936: no matrix of that rank is nearer. Convolutions stay: of theirs, factors
    made networks slower (measured).
    """

    name = "onnx-low-rank"
    summary = "wide linear layers as two narrow ones, nine tenths of their energy kept"

    def unsuited(self, model: "onnx.ModelProto") -> str:
        """Returns a reason where the model would hardly become smaller."""
        if onnx_model.is_quantised(model):
            return ALREADY_QUANTISED
        unfuse(model)
        before, saved = weight_count(model), 0
        for product in products(model, _WORTH_IT_ELEMENTS):
            values = np.linalg.svd(_tall(product.matrix), compute_uv=False)
            if rank := _rank(values, product.matrix.shape):
                saved += product.matrix.size - rank * sum(product.matrix.shape)
        if saved < _SAVES_AT_LEAST * before:
            return (
                f"factors of its linear layers that keep {_ENERGY:.0%} of their energy would save "
                f"{saved / max(1, before):.0%} of the weights"
            )
        return ""

    def change(self, model: "onnx.ModelProto", material: Material) -> "onnx.ModelProto":
        """Returns the model with its wide linear layers in two factors."""
        unfuse(model)
        found = {product.index: product for product in products(model, _WORTH_IT_ELEMENTS)}
        nodes: list[onnx.NodeProto] = []
        for index, node in enumerate(model.graph.node):
            pair = factors(found[index].matrix) if index in found else None
            nodes += [node] if pair is None else _as_two(model, found[index], pair)
            material.on_progress(0.9 * index / len(model.graph.node))
        if len(nodes) == len(model.graph.node):
            raise RecipeFailed("none of its layers would become smaller")
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        compact(model)
        return model


def factors(matrix: Matrix) -> tuple[Matrix, Matrix] | None:
    """Returns two matrices whose product is nearly the given one; None if they save too little."""
    left, values, right = np.linalg.svd(_tall(matrix), full_matrices=False)
    rank = _rank(values, matrix.shape)
    if rank is None:
        return None
    root = np.sqrt(values[:rank])  # shared out, so that both factors quantise equally well
    first = (left[:, :rank] * root).astype(np.float32)
    second = (root[:, None] * right[:rank]).astype(np.float32)
    return (first, second) if matrix.shape[0] >= matrix.shape[1] else (second.T, first.T)


def _tall(matrix: Matrix) -> Matrix:
    """Returns it or its transpose, so that both have the same factors bit for bit."""
    rows, columns = matrix.shape
    return np.ascontiguousarray(matrix if rows >= columns else matrix.T, dtype=np.float64)


def _rank(values: Matrix, shape: tuple[int, ...]) -> int | None:
    """Returns how many singular values are kept; None if that saves too little."""
    energy = np.cumsum(values**2)
    if not energy[-1]:
        return None
    rank = int(np.searchsorted(energy, _ENERGY * energy[-1])) + 1
    too_many = rank * sum(shape) > (1 - _SAVES_AT_LEAST) * prod(shape)
    return None if too_many else rank


def _as_two(
    model: "onnx.ModelProto", product: Product, pair: tuple[Matrix, Matrix]
) -> "list[onnx.NodeProto]":
    from onnx import helper, numpy_helper

    name = f"low-rank/{product.index}"
    for factor, side in zip(pair, ("left", "right"), strict=True):
        model.graph.initializer.append(
            numpy_helper.from_array(np.ascontiguousarray(factor), f"{name}/{side}")
        )
    node = product.node
    return [
        helper.make_node("MatMul", [node.input[0], f"{name}/left"], [f"{name}/narrow"]),
        helper.make_node("MatMul", [f"{name}/narrow", f"{name}/right"], node.output),
    ]
