"""The Open Inference Protocol (V2) over REST, with its binary tensor extension.

A function's parameters are the inputs and the properties of its answer the outputs. An array is a
tensor of its dtype and shape; one number or bool is a tensor of shape [1]; a string, the bytes of
an image or sound, and anything else (as JSON) are BYTES of shape [1].
Source: the protocol's specification at github.com/kserve/open-inference-protocol.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from pydantic_core import PydanticCustomError

from edgefn_runtime.errors import InvalidInput
from edgefn_runtime.limits import decode_json
from edgefn_runtime.servable import Field, Signature
from edgefn_runtime.tensors import (
    DTYPE_OF_V2,
    DTYPES,
    Array,
    Dimensions,
    array_from_bytes,
    array_from_lists,
)


class _InputTensor(msgspec.Struct):
    name: str
    datatype: str
    shape: Dimensions
    parameters: dict[str, Any] = {}
    data: Any = msgspec.UNSET


class _OutputRequest(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Wanted(msgspec.Struct):
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[_OutputRequest] = []


class _Request(_Wanted, kw_only=True):
    inputs: list[_InputTensor]


def decode(body: bytes, json_bytes: int, signature: Signature) -> dict[str, Any]:
    """Returns the payload of a V2 inference request.

    Args:
        body: JSON, then the binary tensors.
        json_bytes: How much of it is JSON; 0: all.
        signature: Of the function.

    Raises:
        InvalidInput: It is not such a request, or a tensor has a wrong type or size.
    """
    head, tail = (body[:json_bytes], body[json_bytes:]) if json_bytes else (body, b"")
    request = decode_json(head, _Request, "not a V2 inference request")
    _check_outputs(request, signature)
    fields = {field.name: field for field in signature.inputs}
    payload: dict[str, Any] = {}
    position = 0
    for tensor in request.inputs:
        field = fields.get(tensor.name)
        if field is None:
            raise InvalidInput(
                f"unknown input {tensor.name!r}; the inputs are {', '.join(fields)}",
                path=tensor.name,
            )
        size = tensor.parameters.get("binary_data_size")
        raw = None
        if size is not None:
            raw = _take(tail, position, size, tensor.name)
            position += len(raw)
        try:
            payload[tensor.name] = _value(tensor, raw, field)
        except PydanticCustomError as error:
            raise InvalidInput(f"{tensor.name}: {error.message()}", path=tensor.name) from error
    if position != len(tail):
        raise InvalidInput(f"{len(tail) - position} bytes are left after the last tensor", path="$")
    return payload


def _check_outputs(request: _Request, signature: Signature) -> None:
    known = [field.name for field in signature.outputs]
    for output in request.outputs:
        if output.name not in known:
            raise InvalidInput(
                f"unknown output {output.name!r}; the outputs are {', '.join(known)}",
                path=output.name,
            )


def _take(tail: bytes, position: int, size: Any, name: str) -> bytes:
    if not isinstance(size, int) or size < 0 or position + size > len(tail):
        raise InvalidInput(
            f"{name}: binary_data_size is {size!r}, but {len(tail) - position} bytes follow",
            path=name,
        )
    return tail[position : position + size]


def _value(tensor: _InputTensor, raw: bytes | None, field: Field) -> Any:
    if raw is None and tensor.data is msgspec.UNSET:
        raise InvalidInput(f"{tensor.name}: neither data nor binary_data_size", path=tensor.name)
    if field.kind in ("tensor", "scalar"):
        array = _array(tensor, raw)
        return array if field.kind == "tensor" else _single(array, tensor.name)
    if tensor.datatype != "BYTES" or math.prod(tensor.shape) != 1:
        raise InvalidInput(
            f"{tensor.name}: expected BYTES [1], got {tensor.datatype} {list(tensor.shape)}",
            path=tensor.name,
        )
    element = _element(raw) if raw is not None else _only(tensor.data, tensor.name)
    if field.kind == "media":
        return element
    text = _text(element, tensor.name)
    if field.kind == "text":
        return text
    return decode_json(text.encode(), Any, f"{tensor.name}: not JSON")


def _array(tensor: _InputTensor, raw: bytes | None) -> Array:
    dtype = DTYPE_OF_V2.get(tensor.datatype)
    if dtype is None:
        raise InvalidInput(
            f"{tensor.name}: unknown datatype {tensor.datatype!r}; one of "
            f"{', '.join(DTYPE_OF_V2)} was expected",
            path=tensor.name,
        )
    if raw is not None:
        return array_from_bytes(dtype, tensor.shape, raw)
    flat = array_from_lists(tensor.data, DTYPES[dtype]).reshape(-1)
    if flat.size != math.prod(tensor.shape):
        raise InvalidInput(
            f"{tensor.name}: {list(tensor.shape)} takes {math.prod(tensor.shape)} numbers, "
            f"but {flat.size} came",
            path=tensor.name,
        )
    return flat.reshape(tensor.shape)


def _single(array: Array, name: str) -> Any:
    if array.size != 1:
        raise InvalidInput(f"{name}: expected one value, got shape {list(array.shape)}", path=name)
    return array.item()


def _element(raw: bytes) -> bytes:
    if len(raw) < 4 or int.from_bytes(raw[:4], "little") != len(raw) - 4:
        raise PydanticCustomError("v2", "one BYTES element with its length in front was expected")
    return raw[4:]


def _only(data: Any, name: str) -> Any:
    while isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, str):
        raise InvalidInput(f"{name}: one string was expected in data", path=name)
    return data


def _text(element: bytes | str, name: str) -> str:
    try:
        return element if isinstance(element, str) else element.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name}: not UTF-8", path=name) from error


def encode(
    payload: Any, request_body: bytes, json_bytes: int, signature: Signature
) -> tuple[int, bytes]:
    """Returns the bytes of the JSON part (0 if there is no binary part) and the V2 response.

    Args:
        payload: The answer, as `Signature.dump` returned it.
        request_body: Of the call: it says which outputs are wanted, and how.
        json_bytes: As for `decode`.
        signature: Of the function.
    """
    wanted = msgspec.json.decode(request_body[: json_bytes or None], type=_Wanted)
    values: Mapping[str, Any] = payload if signature.answers_object else {"result": payload}
    all_binary = wanted.parameters.get("binary_data_output") is True
    binary = {
        output.name: output.parameters.get("binary_data", all_binary) is True
        for output in wanted.outputs
    }
    outputs: list[dict[str, Any]] = []
    tail: list[bytes] = []
    for field in signature.outputs:
        if wanted.outputs and field.name not in binary:
            continue
        described, array = _output(field, values.get(field.name))
        if binary.get(field.name, all_binary):
            raw = _raw(array)
            described["parameters"] = {"binary_data_size": len(raw)}
            tail.append(raw)
        else:
            described["data"] = array if isinstance(array, list) else array.reshape(-1).tolist()
        outputs.append(described)
    response: dict[str, Any] = {"model_name": signature.name, "outputs": outputs}
    if wanted.id:
        response["id"] = wanted.id
    head = msgspec.json.encode(response)
    return (len(head), head + b"".join(tail)) if tail else (0, head)


def _output(field: Field, value: Any) -> tuple[dict[str, Any], Array | list[str]]:
    described: dict[str, Any] = {"name": field.name, "datatype": field.v2.datatype}
    if field.kind == "tensor":
        array = np.asarray(value)
        return {**described, "shape": list(array.shape)}, array
    described["shape"] = [1]
    if field.kind == "scalar":
        return described, np.array([value], DTYPES[DTYPE_OF_V2[field.v2.datatype]])
    if field.kind == "text":
        return described, [value]
    spelled = msgspec.json.encode(value, enc_hook=lambda item: item.tolist())
    # A bare base64 string for media, JSON text for all else.
    return described, [spelled.decode()[1:-1] if field.kind == "media" else spelled.decode()]


def _raw(array: Array | list[str]) -> bytes:
    if isinstance(array, list):
        encoded = [text.encode() for text in array]
        return b"".join(len(item).to_bytes(4, "little") + item for item in encoded)
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
