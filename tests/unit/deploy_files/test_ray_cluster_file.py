"""The file for Ray's cluster launcher is one, and labels machines as our leases look for them."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from edgefn.fleet.role import role_of
from edgefn_runtime.leasing import FleetNow

FOLDER = Path(__file__).parents[3] / "deploy" / "ray"
CLUSTER: dict[str, Any] = yaml.safe_load((FOLDER / "cluster.yaml").read_text())
STARTS = CLUSTER["head_start_ray_commands"] + CLUSTER["worker_start_ray_commands"]


def test_ray_takes_it() -> None:
    """By the schema that Ray itself checks it with."""
    ray = importlib.util.find_spec("ray")  # not imported: that takes seconds
    if ray is None or not ray.submodule_search_locations:
        pytest.skip("needs ray")
    (folder,) = ray.submodule_search_locations
    schema = json.loads((Path(folder) / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(CLUSTER, schema)


def test_machines_have_the_labels_of_a_box() -> None:
    """The same that a box gives to the Ray that it starts itself."""
    role = role_of(FleetNow(box="b", tier="t", site="s", is_hub=True))
    assert role is not None
    labels = yaml.safe_load((FOLDER / "labels.yaml").read_text())
    assert set(labels) == {label for label, _ in role.labels}
    assert all("--labels-file=/etc/edgefn/labels.yaml" in start for start in STARTS)


def test_the_cluster_asks_for_a_token() -> None:
    """Which is in a file, never on a command line."""
    options = CLUSTER["docker"]["run_options"]
    assert "--env=RAY_AUTH_MODE=token" in options
    assert "--env=RAY_AUTH_TOKEN_PATH=/etc/edgefn/ray-token" in options
    assert not any("TOKEN" in start for start in STARTS)


def test_nothing_stops_a_ray_that_is_not_its_own() -> None:
    """`ray stop` ends every Ray of a machine."""
    assert not any("ray stop" in start for start in STARTS)
