"""What operators ask of a box by way of its hub, with real boxes, mutual TLS and a join token."""

import subprocess
import sys
from types import SimpleNamespace

import msgspec
import pytest

from edgefn.access.files import AccessFiles
from edgefn.access.joining import join
from edgefn.access.orders import NewToken
from edgefn.bundle.build import build
from edgefn.client import AdminClient, CallFailed
from edgefn.errors import NotDeployed

CODE = """
from edgefn import edge_function

@edge_function(deadline_ms=10_000, tiers=("edge",))
def told(x: int) -> int:
    print("got", x)
    return x
"""


@pytest.fixture(scope="module")
def fleet(start_shared_box, tmp_path_factory):
    """A hub of two gateways, and a box that joined it and has one, with a function of its tier.

    So one gateway of the hub has a link to the box, and the other one must ask it.
    """
    folder = tmp_path_factory.mktemp("asks")
    source = folder / "source"
    source.mkdir()
    (source / "function.py").write_text(CODE)
    hub = start_shared_box(
        state_dir=folder / "h", name="hub", tier="cloud", hub=True, listen="127.0.0.1:0", gateways=2
    )
    hub.admin.deploy(*build(str(source)))
    token = hub.admin.make_join_token(NewToken(name="edge-1")).text
    join(hub.admin.status().secure_url, token, "edge-1", AccessFiles(folder / "e"))
    edge = start_shared_box(state_dir=folder / "e", name="edge-1")
    with AdminClient(hub.url, box="edge-1") as admin:
        yield SimpleNamespace(hub=hub, edge=edge, admin=admin)


@pytest.fixture
def linked(fleet, eventually):
    """The fleet, once the hub knows the box and that serves."""
    eventually(lambda: any(place.up for place in fleet.hub.admin.status().places))
    eventually(lambda: fleet.edge.admin.functions() and fleet.edge.replicas("told"))
    return fleet


def test_a_box_tells_by_way_of_its_hub_what_it_tells_itself(linked):
    """Whichever gateway of the hub is asked."""
    for _ in range(6):
        with AdminClient(linked.hub.url, box="edge-1") as admin:
            status = admin.status()
            assert (status.box, status.pid) == ("edge-1", linked.edge.process.pid)
            assert [one.name for one in admin.functions()] == ["told"]
    assert linked.admin.history("told")[0].revision == 1
    assert linked.admin.explain("told").function == "told"
    assert linked.admin.events().destinations == ()
    linked.edge.call("told", x=1)
    assert linked.admin.counts().functions
    assert linked.hub.admin.status().box == "hub"


def printed(box, number):
    """Has the function print a line; returns how to see whether the box has it."""
    box.call("told", x=number)
    return lambda: [f"got {number}"] == [one.text for one in box.admin.log_page("told").lines[-1:]]


def test_lines_come_as_they_are_printed(linked, eventually):
    """Also those that are waited for."""
    eventually(printed(linked.edge, 7))
    page = linked.admin.log_page("told")
    assert page.lines[-1].text == "got 7"
    follower = linked.admin.follow("told", last=1)
    assert next(follower).text == "got 7"
    linked.edge.call("told", x=8)
    assert next(follower).text == "got 8"


def test_an_operator_names_the_box_on_the_command_line(linked, eventually):
    """And has the URL and the key of the hub alone."""
    eventually(printed(linked.edge, 9))
    arguments = ("logs", "told", "--last", "1", "--box", "edge-1", "--url", linked.hub.url)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "edgefn", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "got 9" in done.stdout


def test_metrics_of_all_boxes_are_scraped_at_the_hub(linked):
    """By the name of the box."""
    http = linked.hub.http
    there = http.request("GET", f"{linked.hub.url}/metrics?box=edge-1")
    assert there.status == 200
    assert there.headers["Content-Type"].startswith("text/plain")
    here = http.request("GET", f"{linked.hub.url}/metrics?box=hub")
    assert b'edgefn_peer_up{peer="hub"' in there.data
    assert b'edgefn_peer_up{peer="edge-1"' in here.data


def test_errors_of_the_box_are_those_of_the_hub(linked):
    """With their codes and sentences."""
    with pytest.raises(NotDeployed, match="absent"):
        linked.admin.function("absent")


def test_a_box_that_is_not_linked_is_not_found_and_the_linked_ones_are_named(linked):
    """Whatever gateway is asked."""
    with AdminClient(linked.hub.url, box="edge-9") as admin:
        for _ in range(4):
            with pytest.raises(CallFailed, match="no link to a box 'edge-9'.*linked are edge-1"):
                admin.status()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/admin/v1/deployments/told"),
        ("POST", "/admin/v1/deployments/told/rollback"),
        ("GET", "/admin/v1/keys"),
    ],
)
def test_only_what_changes_nothing_is_asked_of_another_box(linked, method, path):
    """Nor what is secret; and it is not done here instead."""
    answer = linked.hub.http.request(method, f"{linked.hub.url}{path}?box=edge-1")
    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid_input")


def test_a_box_answers_its_hub_and_no_other_box(linked):
    """Though that has a link to it: the hub does not answer the box either."""
    answer = linked.edge.http.request("GET", f"{linked.edge.url}/admin/v1/status?box=hub")
    assert (answer.status, answer.json()["error"]["code"]) == (403, "forbidden")
    assert msgspec.json.decode(answer.data)["error"]["message"].startswith("a box answers its hub")
