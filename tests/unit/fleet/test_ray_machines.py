"""Which boxes the machines of a Ray cluster get, by what Ray lists of them."""

from typing import Any

import pytest

from edgefn.errors import ConfigError
from edgefn.fleet.machines import machines_of


def listed(box: str, *, head: bool = False, alive: bool = True, **labels: str) -> dict[str, Any]:
    """Returns a machine as `ray.nodes()` has it."""
    return {
        "NodeID": f"id-of-{box}",
        "Alive": alive,
        "NodeManagerAddress": "10.0.0.1",
        "NodeManagerHostname": f"host-of-{box}",
        "Resources": {"node:10.0.0.1": 1.0} | ({"node:__internal_head__": 1.0} if head else {}),
        "Labels": {"box": box, "tier": "cloud", "site": "dc-1"} | labels,
    }


def test_the_machine_of_the_head_is_first():
    """Its box is the hub; the others follow by name, and those that are gone are left out."""
    found = machines_of(
        [listed("b"), listed("z", head=True), listed("gone", alive=False), listed("a", tier="edge")]
    )
    assert [(m.box, m.is_head, m.tier) for m in found] == [
        ("z", True, "cloud"),
        ("a", False, "edge"),
        ("b", False, "cloud"),
    ]


def test_a_machine_without_a_name_is_called_as_its_host():
    """As `edgefn up` calls a box."""
    machine = listed("a", head=True)
    del machine["Labels"]["box"]
    assert [found.box for found in machines_of([machine])] == ["host-of-a"]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ({"tier": ""}, "no label 'tier'"),
        ({"site": ""}, "no label 'site'"),
        ({"site": "a/b"}, "'a/b'"),
    ],
)
def test_a_machine_that_leases_would_not_find_is_refused(labels, says):
    """Ray Serve places by these labels alone."""
    with pytest.raises(ConfigError, match=says):
        machines_of([listed("hub", head=True, **labels)])


def test_two_machines_of_one_name_are_refused():
    """Boxes of a fleet are told apart by their names."""
    with pytest.raises(ConfigError, match="2 machines of the Ray cluster are called a"):
        machines_of([listed("a", head=True), listed("a")])


def test_a_cluster_without_a_head_is_refused():
    """There would be no hub."""
    with pytest.raises(ConfigError, match="no machine with its head"):
        machines_of([listed("a")])
