"""The Open Inference Protocol, version 2, over REST, with its binary tensor extension.

Bodies are decoded in the replica, like those of any call; here are only its paths, its headers and
what it says of a model. Its `model` is our function, its `version` our revision.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from edgefn import __version__
from edgefn.errors import InvalidInput
from edgefn.gateway.answer import Answer, json_answer
from edgefn.gateway.asked import Encoding
from edgefn.gateway.calling import Called, answer_call
from edgefn.gateway.errors import NotFound, UnsupportedMediaType
from edgefn.gateway.function import Function
from edgefn.gateway.headers import CONTENT_LENGTH, CONTENT_TYPE, V2_HEADER_LENGTH, media_type
from edgefn.gateway.readiness import is_ready, unready
from edgefn.gateway.state import Gateway
from edgefn_runtime.manifest import FunctionSchema, V2Tensor
from edgefn_runtime.wire import Content

_TYPES = frozenset({"", "application/json", "application/octet-stream"})


async def server_metadata(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Says what this server is."""
    body = {"name": "edgefn", "version": __version__, "extensions": ["binary_tensor_data"]}
    return json_answer(msgspec.json.encode(body))


async def server_live(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Says that the process lives."""
    return json_answer(b'{"live":true}')


async def server_ready(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Says whether all functions can be called."""
    ready = not unready(gateway)
    return json_answer(msgspec.json.encode({"ready": ready}), status=200 if ready else 503)


async def model_metadata(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Says what a function takes and gives."""
    route = _model(gateway, parameters).route
    body = {
        "name": route.name,
        "versions": [str(route.revision)],
        "platform": "edgefn",
        "inputs": [_tensor(one) for one in route.schema.v2_inputs],
        "outputs": [_tensor(one) for one in route.schema.v2_outputs],
    }
    return json_answer(msgspec.json.encode(body))


async def model_ready(
    gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]
) -> Answer:
    """Says whether a function can be called."""
    function = _model(gateway, parameters)
    ready = is_ready(gateway, function)
    body = {"name": function.route.name, "ready": ready}
    return json_answer(msgspec.json.encode(body), status=200 if ready else 503)


async def infer(gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]) -> Answer:
    """Calls a function with tensors."""
    return await answer_call(gateway, request, called(gateway, parameters))


def called(gateway: Gateway, parameters: tuple[str, ...]) -> Called:
    """Returns the function that a path names, and how its calls are encoded."""
    return Called(_model(gateway, parameters), _encoding_of)


def _model(gateway: Gateway, parameters: tuple[str, ...]) -> Function:
    function = gateway.dispatcher.function(parameters[0])
    if len(parameters) > 1 and parameters[1] != str(function.route.revision):
        raise NotFound(
            f"{parameters[0]!r} has version {function.route.revision} here, not "
            f"{parameters[1][:40]!r}"
        )
    return function


def _tensor(tensor: V2Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def _encoding_of(headers: Mapping[str, str], schema: FunctionSchema) -> Encoding:
    kind = media_type(headers.get(CONTENT_TYPE, ""))
    if kind not in _TYPES:
        raise UnsupportedMediaType(
            f"Content-Type is {kind[:100]!r}; the Open Inference Protocol has application/json, "
            "or application/octet-stream with Inference-Header-Content-Length"
        )
    told = headers.get(V2_HEADER_LENGTH)
    if told is None:
        return Encoding(Content.V2, Content.V2, 0)
    length = int(headers[CONTENT_LENGTH])
    aux = int(told) if told.isascii() and told.isdigit() and len(told) < 12 else 0
    if not 0 < aux <= length:
        raise InvalidInput(
            f"Inference-Header-Content-Length must be from 1 to the length of the body, {length}, "
            f"not {told[:40]!r}"
        )
    return Encoding(Content.V2, Content.V2, aux)
