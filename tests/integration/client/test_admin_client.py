"""The operator's client against a real box."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgefn.bundle.build import Bundle
from edgefn.client import AdminClient, AsyncClient, Client, ConnectionLost, Unreachable
from edgefn.errors import DeploymentFailed, FunctionFailed, InvalidInput, NotDeployed

SCALED = """
    from edgefn import Tensor, edge_function

    FACTOR = {factor}

    @edge_function(name="{name}", deadline_ms=2000)
    def scaled(x: Tensor["float32", "n"], fail: bool = False) -> Tensor["float32", "n"]:
        print("scaling by", FACTOR)
        if fail:
            raise ValueError("asked to fail")
        return x * FACTOR
"""


@pytest.fixture
def admin(shared_box: Any) -> AdminClient:
    return shared_box.admin


def test_only_what_the_box_lacks_is_uploaded(
    admin: AdminClient, make_bundle: Callable[[str], Bundle]
) -> None:
    """Progress goes from nothing to everything; a second deployment uploads nothing."""
    bundle = make_bundle(SCALED.format(factor=2, name="uploaded"))
    progress: list[tuple[int, int]] = []
    status = admin.deploy(bundle, lambda sent, total: progress.append((sent, total)))
    assert (status.name, status.revision, status.state) == ("uploaded", 1, "serving")
    total_bytes = sum(file.size for file in bundle.manifest.files)
    assert (progress[0], progress[-1]) == ((0, total_bytes), (total_bytes, total_bytes))
    progress.clear()
    admin.deploy(bundle, lambda sent, total: progress.append((sent, total)))
    assert progress == [(0, 0)]


def test_a_deployed_function_is_seen_called_and_removed(
    shared_box: Any, admin: AdminClient, make_bundle: Callable[[str], Bundle]
) -> None:
    """From the first look to the last, with arrays over msgpack and lists over JSON."""
    admin.deploy(make_bundle(SCALED.format(factor=3, name="seen")))
    assert "seen" in [each.name for each in admin.functions()]
    status = admin.function("seen")
    assert status.spec is not None and status.spec.deadline_s == 2.0
    assert "/v1/functions/seen" in admin.example("seen")
    with Client(shared_box.url) as client:
        array = np.array([1, 2], dtype="float32")
        answer = client.call("seen", x=array)
        np.testing.assert_array_equal(answer.value, array * 3)
        assert (answer.variant, answer.tier, answer.sla) == ("python", "edge", "met")
        assert client.call("seen", x=[1.0, 2.0]).value == [3.0, 6.0]
        with pytest.raises(InvalidInput, match="x"):
            client.call("seen", x="no array")
        with pytest.raises(FunctionFailed, match="ValueError: asked to fail"):
            client.call("seen", x=[1.0], fail=True)
    assert admin.status().url == shared_box.url
    admin.remove("seen")
    with pytest.raises(NotDeployed):
        admin.function("seen")


def test_history_and_rollback(admin: AdminClient, make_bundle: Callable[[str], Bundle]) -> None:
    """A rollback is a new revision with the bundle of an old one."""
    for factor in (1, 2):
        admin.deploy(make_bundle(SCALED.format(factor=factor, name="rolled")))
    assert admin.rollback("rolled").revision == 3
    newest, second, first = admin.history("rolled")
    assert (newest.revision, newest.state, newest.digest) == (3, "serving", first.digest)
    assert second.state == "superseded"
    with pytest.raises(NotDeployed):
        admin.history("never")


def test_a_deployment_that_fails_has_the_traceback_and_the_old_one_serves(
    shared_box: Any, admin: AdminClient, make_bundle: Callable[[str], Bundle]
) -> None:
    """The error is the developer's to read."""
    code = SCALED.format(factor=1, name="fragile")
    admin.deploy(make_bundle(code))
    fails_there = "import os\n    if 'revisions' in os.getcwd(): raise OSError('no sensor')\n"
    with pytest.raises(DeploymentFailed, match="no sensor") as caught:
        admin.deploy(make_bundle(f"{code}\n    {fails_there}"))
    assert "function.py" in caught.value.detail["traceback"]
    with Client(shared_box.url) as client:
        assert client.call("fragile", x=[1.0]).value == [1.0]


def test_logs_are_followed(
    shared_box: Any, admin: AdminClient, make_bundle: Callable[[str], Bundle]
) -> None:
    """What was printed comes first, then each new line."""
    admin.deploy(make_bundle(SCALED.format(factor=7, name="talkative")))
    with Client(shared_box.url) as client:
        client.call("talkative", x=[1.0])
        lines = admin.follow("talkative", last=5)
        assert "scaling by 7" in [line.text for line in itertools.islice(lines, 1)]
        client.call("talkative", x=[1.0])
        assert next(lines).text == "scaling by 7"


async def test_the_asyncio_client_calls_a_real_box(
    shared_box: Any, admin: AdminClient, make_bundle: Callable[[str], Bundle]
) -> None:
    """Arrays go and come as they are."""
    admin.deploy(make_bundle(SCALED.format(factor=5, name="awaited")))
    async with AsyncClient(shared_box.url) as client:
        array = np.linspace(0, 1, 490, dtype="float32")
        answer = await client.call("awaited", x=array)
    np.testing.assert_array_equal(answer.value, array * np.float32(5))


def test_a_box_that_is_gone_is_unreachable(start_box: Callable[..., Any]) -> None:
    """Whether the connection was open before, or not."""
    box = start_box()
    with AdminClient(box.url) as admin:
        admin.status()
        box.end()
        with pytest.raises((Unreachable, ConnectionLost)):
            admin.status()
        with pytest.raises(Unreachable, match="edgefn up"):
            admin.status()
