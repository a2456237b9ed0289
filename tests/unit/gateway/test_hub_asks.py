"""What the hub may ask of a box: what its operators may look at, and nothing else."""

import pytest

from edgefn.access.caller import NotAllowed
from edgefn.access.needs import Need
from edgefn.gateway.errors import MethodNotAllowed, NotFound
from edgefn.gateway.hub_asks import answers_of
from edgefn.gateway.peer_wire import PeerAsk
from edgefn.gateway.routes import ROUTES

OTHERS = sorted({route.path for route in ROUTES} - {one.path for one in ROUTES if one.of_any_box})


def test_only_looking_is_asked_by_way_of_a_hub():
    """And only what an operator's key is for."""
    asked = [route for route in ROUTES if route.of_any_box]
    assert {route.method for route in asked} == {"GET"}
    assert {route.need for route in asked} == {Need.OPERATE, Need.METRICS}


@pytest.mark.parametrize("path", OTHERS)
async def test_all_else_is_refused_before_anything_is_looked_at(path):
    """Whatever the hub says."""
    answer = answers_of(gateway=None)
    with pytest.raises((NotAllowed, MethodNotAllowed)):
        await answer(PeerAsk(1, path.replace("{", "").replace("}", ""), {}))


async def test_a_path_that_is_none_is_not_found():
    """As over HTTP."""
    with pytest.raises(NotFound):
        await answers_of(gateway=None)(PeerAsk(1, "/admin/v1/secrets", {}))
