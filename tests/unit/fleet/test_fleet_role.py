"""What the Ray of a machine should be."""

from pathlib import Path

import msgspec
import pytest

from edgefn.desired.ray import refuse_open_ray
from edgefn.errors import ConfigError
from edgefn.fleet.environment import ray_environment
from edgefn.fleet.patience import Patience, pause_s
from edgefn.fleet.role import role_of, start_arguments
from edgefn.fleet.token import keep_token
from edgefn_runtime.leasing import FleetNow

NOW = FleetNow(box="e1", tier="edge", site="plant-1", head="10.0.0.1:6379", token="secret")


def test_a_box_waits_for_the_head_and_its_token():
    """Without either there is nothing to start yet; a hub needs neither."""
    assert role_of(msgspec.structs.replace(NOW, head="")) is None
    assert role_of(msgspec.structs.replace(NOW, token="")) is None
    assert role_of(FleetNow(box="hub", tier="cloud", site="", is_hub=True)) is not None


def test_a_role_does_not_change_with_the_pools():
    """What only Serve needs to know does not start Ray anew."""
    hub = FleetNow(box="hub", tier="cloud", site="", is_hub=True, head="10.0.0.1:6379", token="t")
    assert role_of(hub) == role_of(msgspec.structs.replace(hub, head="", token="", pools=()))
    assert role_of(NOW) != role_of(msgspec.structs.replace(NOW, head="10.0.0.1:7000"))


def test_no_label_is_empty():
    """A box without a site has no label for it."""
    role = role_of(msgspec.structs.replace(NOW, site=""))
    arguments = start_arguments(role, host="10.0.0.2", folder=Path("ray"))
    assert "--labels=tier=edge,box=e1" in arguments
    assert "--address=10.0.0.1:6379" in arguments
    assert not any("secret" in argument for argument in arguments)


def test_the_head_is_for_this_fleet_alone():
    """It takes any free port, and starts neither dashboard nor autoscaler."""
    role = role_of(FleetNow(box="hub", tier="cloud", site="", is_hub=True))
    arguments = start_arguments(role, host="10.0.0.1", folder=Path("ray"))
    assert {"--head", "--port=0", "--include-dashboard=false", "--no-monitor"} <= set(arguments)


@pytest.mark.parametrize("mode", ["disabled", "DISABLED", "none"])
def test_ray_without_a_token_is_refused(mode):
    """Whoever turns token authentication off is told what to do."""
    with pytest.raises(ConfigError, match=f"RAY_AUTH_MODE={mode}.*Unset it"):
        refuse_open_ray({"RAY_AUTH_MODE": mode})
    refuse_open_ray({"RAY_AUTH_MODE": "Token"})
    refuse_open_ray({})


def test_the_environment_is_of_this_cluster():
    """Time limits for Ray go on to it; the address and the token of another cluster do not."""
    given = {"RAY_ADDRESS": "other:1", "RAY_AUTH_TOKEN": "other", "RAY_x_timeout_s": "5"}
    environ = ray_environment(given, state_dir=Path("state"), token_file=Path("state/ray/token"))
    assert "RAY_ADDRESS" not in environ
    assert "RAY_AUTH_TOKEN" not in environ
    assert environ["RAY_x_timeout_s"] == "5"
    assert environ["RAY_AUTH_MODE"] == "token"
    assert environ["RAY_AUTH_TOKEN_PATH"] == "state/ray/token"
    assert environ["EDGEFN_STATE_DIR"] == "state"


def test_a_token_is_kept_and_followed(tmp_path):
    """The head's machine makes one once; the others have the one that they are given."""
    file = tmp_path / "token"
    made = keep_token(file, "")
    assert len(made) >= 64
    assert keep_token(file, "") == made
    assert keep_token(file, "given") == "given"
    assert file.read_text() == "given"
    assert file.stat().st_mode & 0o777 == 0o600


def test_pauses_double_up_to_a_limit():
    """None after none, and never more than the longest."""
    pauses = [pause_s(failures, first_s=0.5, longest_s=3.0) for failures in (0, 1, 2, 3, 4, 999)]
    assert pauses == [0.0, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_what_was_tried_waits_longer_each_time_until_it_is_forgotten():
    """The pause grows with the tries, and starts anew for what was well in between."""
    patience = Patience(first_s=2.0, longest_s=60.0)
    assert patience.may_try("a", 0.0)
    patience.tried("a", 0.0)
    assert not patience.may_try("a", 1.9)
    assert patience.may_try("a", 2.0)
    patience.tried("a", 2.0)
    assert not patience.may_try("a", 5.9)
    patience.keep({"b"})
    assert patience.may_try("a", 5.9)
