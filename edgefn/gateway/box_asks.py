"""Requests of operators that are for another box: handed to it over a link, by whoever has one."""

from typing import Final

import msgspec
from aiohttp import web

from edgefn.access.caller import Caller
from edgefn.errors import EdgefnError
from edgefn.gateway.admin import query_of, told_by_box
from edgefn.gateway.answer import Answer
from edgefn.gateway.connection import caller_of
from edgefn.gateway.control import Answered, Ask
from edgefn.gateway.errors import Unavailable
from edgefn.gateway.state import Gateway
from edgefn.gateway.statuses import refused

BOX: Final = "box"  # parameter of the query that names it
_TIMEOUT_S: Final = 12.0  # its gateway waits for it a little less
_LOG_TIMEOUT_S: Final = 35.0  # lines may be waited for


def other_box(gateway: Gateway, request: web.BaseRequest) -> str:
    """Returns which other box a request is for; empty: it is for this one.

    Raises:
        MalformedRequest: Its query cannot be parsed.
    """
    if not request.query_string:
        return ""
    box = query_of(request).get(BOX, "")
    return "" if box == gateway.config.box else box


async def ask_box(gateway: Gateway, request: web.BaseRequest, box: str) -> Answer:
    """Returns what another box answers to a request.

    Raises:
        EdgefnError: It cannot be asked.
    """
    path, caller = request.raw_path.partition("?")[0], caller_of(request)
    query = query_of(request)
    if gateway.peers is not None and gateway.peers.asks_of(box) is not None:
        answered = await _over_link(gateway, box, path, query, caller)
    else:  # another gateway of this box may have the link; the box knows
        timeout_s = _timeout_s(path) + 1.0
        answered = await gateway.box.ask("GET", path, query, b"", timeout_s, caller.id, caller.name)
    return told_by_box(request, answered)


async def answer_sibling(gateway: Gateway, ask: Ask) -> Answered:
    """Returns what another box answers to a request that came to another gateway of this box."""
    box = ask.query.get(BOX, "")
    caller = Caller(id=ask.caller, name=ask.name, allowed=frozenset())
    try:
        answered = await _over_link(gateway, box, ask.path, ask.query, caller)
    except EdgefnError as error:
        return refused(ask.id, error.body())
    return msgspec.structs.replace(answered, id=ask.id)


async def _over_link(
    gateway: Gateway, box: str, path: str, query: dict[str, str], caller: Caller
) -> Answered:
    asks = gateway.peers.asks_of(box) if gateway.peers is not None else None
    if asks is None:
        raise Unavailable(f"the link to box {box[:63]!r} has just been lost; try again")
    rest = {name: value for name, value in query.items() if name != BOX}
    told = await asks.ask(path, rest, caller.name, _timeout_s(path))
    return Answered(told.id, told.status, told.body, told.content_type)


def _timeout_s(path: str) -> float:
    return _LOG_TIMEOUT_S if path.endswith("/logs") else _TIMEOUT_S
