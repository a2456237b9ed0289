"""What the hub may ask of a box for its operators, answered as the box's own operators are."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final
from urllib.parse import unquote

from edgefn.access.caller import NotAllowed
from edgefn.errors import EdgefnError
from edgefn.gateway.peer_asks import Answer
from edgefn.gateway.peer_wire import PeerAnswered, PeerAsk
from edgefn.gateway.route_admin import decisions_told, explanation_of
from edgefn.gateway.routes import resolve
from edgefn.gateway.state import Gateway

_TIMEOUT_S: Final = 10.0
_LOG_TIMEOUT_S: Final = 30.0  # lines may be waited for

_LOG = logging.getLogger(__name__)

# What gateways know themselves; all else is asked of the box.
_OWN: Final[Mapping[str, Callable[[Gateway, tuple[str, ...], dict[str, str]], bytes]]] = {
    "/admin/v1/decisions": decisions_told,
    "/admin/v1/route/{name}": explanation_of,
}


def answers_of(gateway: Gateway) -> Answer:
    """Returns how a gateway answers the hub."""
    return partial(_answer, gateway)


async def _answer(gateway: Gateway, ask: PeerAsk) -> PeerAnswered:
    """Returns the answer to one request.

    Raises:
        EdgefnError: It is refused, or failed.
    """
    route, parameters = resolve("GET", ask.path)
    if not route.of_any_box:
        raise NotAllowed(f"GET {ask.path} is for operators of the box itself, not for its hub")
    own = _OWN.get(route.path)
    try:
        if own is not None:
            return PeerAnswered(ask.id, 200, own(gateway, parameters, ask.query))
        timeout_s = _LOG_TIMEOUT_S if ask.path.endswith("/logs") else _TIMEOUT_S
        gateway.report()
        path = unquote(ask.path)
        answered = await gateway.box.ask("GET", path, ask.query, b"", timeout_s, name=ask.caller)
    except EdgefnError:
        raise
    except Exception as error:
        _LOG.exception("GET %s of the hub failed", ask.path)
        raise EdgefnError("the gateway failed; its log says more") from error
    return PeerAnswered(ask.id, answered.status, answered.body, answered.content_type)
