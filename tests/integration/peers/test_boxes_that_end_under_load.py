"""Real boxes that restart or are killed while others send them calls."""

import threading
from collections import Counter
from types import SimpleNamespace

import pytest

from edgefn.bundle.build import build

CODE = """
import time
from edgefn import edge_function

@edge_function(tiers=("cloud",), deadline_ms=10_000, scale=(1, 1))
def once(x: int) -> int:
    time.sleep(0.02)
    return 2 * x

@edge_function(tiers=("cloud",), deadline_ms=10_000, scale=(1, 1), idempotent=True)
def again(x: int) -> int:
    time.sleep(0.02)
    return 2 * x
"""
FIRST = {"name": "cloud-1", "tier": "cloud"}


@pytest.fixture(scope="module")
def boxes(start_shared_box, tmp_path_factory):
    """Two boxes of the cloud, the second of which dials the first; both serve the functions."""
    folder = tmp_path_factory.mktemp("ending")
    source = folder / "source"
    source.mkdir()
    (source / "function.py").write_text(CODE)
    first = start_shared_box(state_dir=folder / "1", peer_port=0, **FIRST)
    address = first.admin.status().peer_address
    second = start_shared_box(state_dir=folder / "2", name="cloud-2", tier="cloud", peers=[address])
    for bundle in build(str(source)):
        for box in (first, second):
            box.admin.deploy(bundle)

    def start_first_again():
        port = int(address.rpartition(":")[2])
        return start_shared_box(state_dir=folder / "1", peer_port=port, **FIRST)

    return SimpleNamespace(first=first, second=second, start_first_again=start_first_again)


class Load:
    """Callers that call one after the other until the end of a `with`."""

    def __init__(self, box, name, callers):
        self.box, self.name = box, name
        self.answers = Counter()  # by status and box
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def _call(self):
        while not self._stop.is_set():
            answer = self.box.call(self.name, x=2)
            self.answers[answer.status, answer.headers.get("Edgefn-Box")] += 1

    def at(self, box):
        return self.answers[200, box]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_the_restart_of_a_box_fails_no_call_that_others_send_it(boxes, eventually):
    """Though none may run twice: it says that it goes, answers what it has, and is used again."""
    with Load(boxes.second, "once", 6) as load:
        eventually(lambda: load.at("cloud-1") > 20, within_s=20.0)
        boxes.first.admin.close()
        assert boxes.first.end() == 0
        before = load.at("cloud-1"), load.at("cloud-2")
        boxes.first = boxes.start_first_again()
        eventually(lambda: load.at("cloud-1") > before[0] + 20, within_s=20.0)
        assert load.at("cloud-2") > before[1]
    assert {status for status, _ in load.answers} == {200}, load.answers


def test_boxes_share_load_and_one_that_is_killed_is_done_without(boxes, eventually):
    """What it had is answered elsewhere, since it may run twice."""
    with Load(boxes.first, "again", 6) as load:
        eventually(lambda: load.at("cloud-2") > 20 and load.at("cloud-1") > 20, within_s=20.0)
        boxes.second.process.kill()
        before = load.at("cloud-1")
        eventually(lambda: load.at("cloud-1") > before + 50, within_s=20.0)
    assert {status for status, _ in load.answers} == {200}, load.answers
