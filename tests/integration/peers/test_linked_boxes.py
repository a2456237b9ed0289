"""Real boxes whose gateways are linked over an emulated network."""

import threading
from collections import Counter
from types import SimpleNamespace

import pytest

from edgefn.bundle.build import build
from edgefn.emulation.launch import LinkProcess
from edgefn.emulation.messages import Aim, Change, Open
from edgefn.emulation.path import Conditions

LINK = "edge-1:cloud-1"
NEAR = Conditions(rtt_s=0.01)
CODE = """
from edgefn import edge_function

@edge_function(tiers=("cloud", "edge"), deadline_ms=70)
def doubled(x: int) -> int:
    return 2 * x

@edge_function(tiers=("cloud", "edge"), deadline_ms=15_000, idempotent=True)
def patient(x: int) -> int:
    return 2 * x
"""


@pytest.fixture(scope="module")
def boxes(start_shared_box, tmp_path_factory):
    """An edge box that is linked with a cloud box; both serve `doubled`."""
    folder = tmp_path_factory.mktemp("linked")
    source = folder / "source"
    source.mkdir()
    (source / "function.py").write_text(CODE)
    process = LinkProcess.start(folder, seed=1)
    try:
        (link,) = process.control.ask(Open(LINK, NEAR))
        peer = f"127.0.0.1:{link.port}"
        edge = start_shared_box(
            state_dir=folder / "e", name="edge-1", peer_port=0, peers=[peer], ready=False
        )
        cloud = start_shared_box(state_dir=folder / "c", name="cloud-1", tier="cloud", peer_port=0)
        edge.until_ready()
        address = cloud.admin.status().peer_address
        process.control.ask(Aim("cloud-1", "127.0.0.1", int(address.rpartition(":")[2])))
        for bundle in build(str(source)):
            for box in (cloud, edge):
                box.admin.deploy(bundle)
        yield SimpleNamespace(
            change=lambda **how: process.control.ask(Change(link=LINK, **how)), edge=edge
        )
    finally:
        process.stop()


@pytest.fixture
def linked(boxes, eventually):
    """The boxes, with the cloud near and in use."""
    boxes.change(rtt_s=NEAR.rtt_s, cut=False)
    eventually(lambda: answered_at(boxes.edge) == "cloud-1", within_s=20.0)
    return boxes


def answered_at(box, function="doubled"):
    answer = box.call(function, x=2)
    if answer.status == 504:  # this machine has other things to do, too
        return "nowhere"
    assert (answer.status, answer.json()) == (200, 4)
    place = answer.headers["Edgefn-Box"]
    assert answer.headers["Edgefn-Tier"] == place.partition("-")[0]
    return place


def test_calls_go_where_they_are_answered_in_time(linked, eventually):
    """To the preferred cloud while it is near, to the edge within 20 calls once it is 80 ms
    further away, and back when it is near again."""
    linked.change(rtt_s=NEAR.rtt_s + 0.08)
    places = [answered_at(linked.edge) for _ in range(20)]
    assert "edge-1" in places
    eventually(lambda: [answered_at(linked.edge) for _ in range(5)] == ["edge-1"] * 5)
    linked.change(rtt_s=NEAR.rtt_s)
    eventually(lambda: answered_at(linked.edge) == "cloud-1")


def test_a_cut_under_load_fails_no_call_that_may_run_twice(linked, eventually):
    """What was under way is answered here; a restored link is used again."""
    statuses, stop = Counter(), threading.Event()

    def keep_calling():
        while not stop.is_set():
            statuses[linked.edge.call("patient", x=2).status] += 1

    callers = [threading.Thread(target=keep_calling) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        eventually(lambda: statuses[200] > 30)
        linked.change(cut=True)
        eventually(lambda: answered_at(linked.edge, "patient") == "edge-1", within_s=20.0)
        before = statuses[200]
        eventually(lambda: statuses[200] > before + 50)
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    assert set(statuses) == {200}, statuses
    linked.change(cut=False)
    eventually(lambda: answered_at(linked.edge, "patient") == "cloud-1", within_s=20.0)
