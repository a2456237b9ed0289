"""`POST /v1/functions/{name}`."""

from collections.abc import Mapping

from aiohttp import web

from edgefn.gateway.answer import Answer
from edgefn.gateway.asked import Encoding
from edgefn.gateway.calling import Called, answer_call
from edgefn.gateway.headers import ACCEPT, CONTENT_TYPE, answer_content, content_of
from edgefn.gateway.state import Gateway
from edgefn_runtime.manifest import FunctionSchema
from edgefn_runtime.wire import Content


async def invoke(gateway: Gateway, request: web.BaseRequest, parameters: tuple[str, ...]) -> Answer:
    """Calls a function with a JSON or msgpack object, or with the bytes of one image or sound."""
    return await answer_call(gateway, request, called(gateway, parameters))


def called(gateway: Gateway, parameters: tuple[str, ...]) -> Called:
    """Returns the function that a path names, and how its calls are encoded."""
    (name,) = parameters
    return Called(gateway.dispatcher.function(name), _encoding_of)


def _encoding_of(headers: Mapping[str, str], schema: FunctionSchema) -> Encoding:
    told = headers.get(CONTENT_TYPE)
    content = content_of(told, schema)
    accept = answer_content(content, headers.get(ACCEPT))
    return Encoding(content, accept, 0, (told or "")[:100] if content == Content.MEDIA else "")
