"""Real boxes: an edge box that may start no more has the cloud box start replicas for it."""

import re
import threading
from contextlib import contextmanager

import pytest

# No call can wait for a start, so that a cloud without replicas would hardly get any.
CODE = """
    import time
    from edgefn import edge_function

    @edge_function(deadline_ms=250, scale=(0, 2, 1.0))
    class busy:
        def __init__(self) -> None:
            time.sleep(0.5)

        def __call__(self, x: int) -> int:
            time.sleep(0.06)
            return x
"""
CALLERS = 16  # at most eight fit two replicas in time


def gauge(box, name):
    """Returns what a box publishes of the function."""
    text = box.http.request("GET", f"{box.url}/metrics").data.decode()
    return float(re.search(rf'^{name}{{function="busy"}} (\S+)$', text, re.MULTILINE)[1])


def wanted(box):
    (variant,) = box.admin.function("busy").variants
    return variant.wanted


@contextmanager
def load(box):
    """Calls as often as a box answers; yields the places that answered."""
    places, stop = set(), threading.Event()

    def keep_calling():
        while not stop.wait(0.02):
            answer = box.call("busy", x=1)
            assert answer.status in (200, 429, 503, 504)
            if answer.status == 200:
                places.add(answer.headers["Edgefn-Box"])

    callers = [threading.Thread(target=keep_calling) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        yield places
    finally:
        stop.set()
        for caller in callers:
            caller.join()


@pytest.fixture
def boxes(start_box, make_bundle, tmp_path, eventually):
    """An edge box that has dialled a cloud box, which came to rest without replicas."""
    bundle = make_bundle(CODE)
    cloud = start_box(state_dir=tmp_path / "c", name="cloud-1", tier="cloud", peer_port=0)
    peer = cloud.admin.status().peer_address
    edge = start_box(state_dir=tmp_path / "e", name="edge-1", tier="edge", peers=[peer])
    for box in (cloud, edge):
        box.admin.deploy(bundle)
    eventually(lambda: not cloud.replicas("busy"), within_s=20.0)
    return edge, cloud


def test_a_full_box_has_the_next_tier_start_replicas_for_as_long_as_it_is_full(boxes, eventually):
    """They answer calls that could not have waited for their start."""
    edge, cloud = boxes
    assert gauge(edge, "edgefn_spill_reserve_replicas") == 0
    with load(edge) as places:
        eventually(lambda: gauge(cloud, "edgefn_spill_reserved_replicas") >= 1, within_s=20.0)
        eventually(lambda: gauge(edge, "edgefn_spill_reserve_replicas") >= 1)
        eventually(lambda: len(cloud.replicas("busy")) == 2, within_s=20.0)
        eventually(lambda: "cloud-1" in places, within_s=20.0)
    eventually(lambda: gauge(cloud, "edgefn_spill_reserved_replicas") == 0, within_s=20.0)
    eventually(lambda: wanted(cloud) <= 1, within_s=20.0)
