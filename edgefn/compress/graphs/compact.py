"""The same ONNX model in fewer bytes.

For a model of 50 kB what surrounds the weights matters: names of values, doc strings, shapes that
tools left, scales that are stored once a use, and weights that are stored a second time transposed
(for a backward sweep in the graph, say, which explains an answer).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefn.compress.graphs.onnx_model import ONNX_DOMAINS, subgraphs, users

if TYPE_CHECKING:
    import onnx

# A Transpose of constants, which ONNX Runtime folds when it loads the model, takes about 60 bytes.
_WORTH_SHARING_BYTES: Final = 256
# As tools leave them behind; what a developer wrote stays.
_TOOLS_METADATA: Final = ("onnx.infer", "onnx.quant", "pkg.")


def compact(model: "onnx.ModelProto", *, rename: bool = True) -> None:
    """Removes from a model what running it does not need.

    Args:
        model: Changed in place.
        rename: Whether inner values get short names. Inputs and outputs always keep theirs.
    """
    strip(model)
    _drop_unused(model)
    _share_equal(model)
    _share_transposed(model)
    _drop_unused(model)
    nested = any(True for node in model.graph.node for _ in subgraphs(node))
    if rename and not nested:  # the names of a subgraph may shadow those around it
        _rename(model)


def strip(model: "onnx.ModelProto") -> None:
    """Removes doc strings, node names, inner shapes and what tools noted, from a model in place."""
    model.doc_string = model.producer_version = ""
    kept = [entry for entry in model.metadata_props if not entry.key.startswith(_TOOLS_METADATA)]
    _replace(model.metadata_props, kept)
    pending = [model.graph]
    while pending:
        graph = pending.pop()
        graph.doc_string = ""
        del graph.value_info[:], graph.metadata_props[:], graph.quantization_annotation[:]
        for tensor in graph.initializer:
            tensor.doc_string = ""
            del tensor.metadata_props[:]
        for value in (*graph.input, *graph.output):
            value.doc_string = ""
            del value.metadata_props[:]
        for node in graph.node:
            node.name = node.doc_string = ""
            del node.metadata_props[:]
            pending += subgraphs(node)


def _drop_unused(model: "onnx.ModelProto") -> None:
    used = users(model)
    kept = [tensor for tensor in model.graph.initializer if used.get(tensor.name)]
    _replace(model.graph.initializer, kept)
    domains: set[str] = set()
    pending = [model.graph, *model.functions]
    while pending:
        for node in pending.pop().node:
            domains.add(node.domain)
            pending += subgraphs(node)
    for function in model.functions:
        domains |= {function.domain, *(entry.domain for entry in function.opset_import)}
    if not domains.isdisjoint(ONNX_DOMAINS):
        domains.update(ONNX_DOMAINS)
    versions: dict[str, int] = {}
    for entry in model.opset_import:  # some exporters list a domain twice
        if entry.domain in domains:
            versions[entry.domain] = max(entry.version, versions.get(entry.domain, 0))
    del model.opset_import[:]
    for domain in sorted(versions):
        model.opset_import.add(domain=domain, version=versions[domain])


def _share_equal(model: "onnx.ModelProto") -> None:
    """Stores tensors that are equal bit for bit once."""
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    outputs = {value.name for value in model.graph.output}
    inputs = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if tensor.name in outputs or tensor.name in inputs:
            continue
        name, tensor.name = tensor.name, ""
        content = tensor.SerializeToString(deterministic=True)
        tensor.name = name
        original = first.setdefault(content, name)
        if original != name:
            same[name] = original
    _rename_inputs(model.graph, same)


def _share_transposed(model: "onnx.ModelProto") -> None:
    """Stores a matrix once of which the graph has the transpose as well."""
    from onnx import helper, numpy_helper

    at: dict[tuple[bytes, tuple[int, ...], int], str] = {}
    gone: set[str] = set()
    transposes = []
    fixed = {value.name for value in (*model.graph.input, *model.graph.output)}
    for tensor in model.graph.initializer:
        if len(tensor.dims) != 2 or 1 in tensor.dims or tensor.name in fixed:
            continue
        matrix = numpy_helper.to_array(tensor)
        if matrix.nbytes < _WORTH_SHARING_BYTES:
            continue
        turned = np.ascontiguousarray(matrix.T)
        original = at.get((turned.tobytes(), turned.shape, tensor.data_type))
        if original is None:
            at.setdefault((matrix.tobytes(), matrix.shape, tensor.data_type), tensor.name)
            continue
        gone.add(tensor.name)
        transposes.append(helper.make_node("Transpose", [original], [tensor.name], perm=[1, 0]))
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in gone]
    _replace(model.graph.initializer, kept)
    _replace(model.graph.node, [*transposes, *model.graph.node])


def _rename(model: "onnx.ModelProto") -> None:
    """Gives inner values the shortest names, in the order in which they appear."""
    graph = model.graph
    taken = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {name: name for name in taken} | {"": ""}
    free = (name for name in map(_short, range(2**31)) if name not in taken)
    for node in graph.node:
        for name in (*node.input, *node.output):
            if name not in names:
                names[name] = next(free)
    for node in graph.node:
        _replace(node.input, [names[name] for name in node.input])
        _replace(node.output, [names[name] for name in node.output])
    for tensor in graph.initializer:
        tensor.name = names[tensor.name]


def _short(number: int) -> str:
    """Returns 0 as `a`, 25 as `z`, 26 as `ba`, and so on."""
    letters = chr(ord("a") + number % 26)
    while number := number // 26:
        letters = chr(ord("a") + number % 26) + letters
    return letters


def _rename_inputs(graph: "onnx.GraphProto", names: dict[str, str]) -> None:
    for node in graph.node:
        if not names.keys().isdisjoint(node.input):
            _replace(node.input, [names.get(name, name) for name in node.input])
        for body in subgraphs(node):
            _rename_inputs(body, names)


def _replace(field: "object", items: Iterable[object]) -> None:
    items = list(items)
    del field[:]  # type: ignore[attr-defined]
    field.extend(items)  # type: ignore[attr-defined]
