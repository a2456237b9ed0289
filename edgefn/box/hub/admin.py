"""The part of the admin API that only a hub has: of its fleet, for operators and for the boxes."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec

from edgefn.box.hub.hub import Hub
from edgefn.desired.report import MAX_REPORT_BYTES, BoxReport
from edgefn.errors import InvalidInput
from edgefn.gateway.control import DESIRED_PATH, Ask

MAX_PULL_WAIT_S: Final = 20.0

HubHandler = Callable[[Hub, Ask], Awaitable[Any]]


class _Known(msgspec.Struct):
    epoch: Annotated[str, msgspec.Meta(max_length=64)] = ""
    revision: Annotated[int, msgspec.Meta(ge=0)] = 0
    digest: Annotated[str, msgspec.Meta(max_length=64)] = ""
    wait_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class _Noted(msgspec.Struct):
    noted: str


async def fleet(hub: Hub, ask: Ask) -> Any:
    """Tells of all boxes."""
    return await hub.status()


async def desired(hub: Hub, ask: Ask) -> Any:
    """Tells a box what it should serve, as soon as that is not what it knows."""
    try:
        known = msgspec.convert(ask.query, type=_Known, strict=False)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"the query is ?epoch=&revision=&digest=&wait_s=: {error}") from error
    wait_s = min(known.wait_s, MAX_PULL_WAIT_S)
    reply = await hub.pull(
        ask.name, ask.caller, known.epoch, known.revision, wait_s, digest=known.digest
    )
    return msgspec.Raw(reply)


async def report(hub: Hub, ask: Ask) -> Any:
    """Takes what a box says of itself."""
    if len(ask.body) > MAX_REPORT_BYTES:
        raise InvalidInput(
            f"a report of {len(ask.body)} bytes: at most {MAX_REPORT_BYTES} are listened to"
        )
    try:
        told = msgspec.json.decode(ask.body, type=BoxReport)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is no report of a box: {error}") from error
    hub.report(told, ask.name)
    return _Noted(noted=told.box)


HUB_ROUTES: Final[dict[str, dict[str, HubHandler]]] = {
    "/admin/v1/fleet": {"GET": fleet},
    DESIRED_PATH: {"GET": desired},
    "/fleet/v1/report": {"POST": report},
}
