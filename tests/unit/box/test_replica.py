"""The states of a replica."""

from collections.abc import Callable
from itertools import product
from typing import get_args

import pytest

from edgefn.box.replica import TRANSITIONS, Replica, ReplicaState
from edgefn.box.revision import Revision


@pytest.mark.parametrize(("here", "there"), list(product(get_args(ReplicaState), repeat=2)))
def test_only_the_transitions_of_the_table_exist(
    here: ReplicaState,
    there: ReplicaState,
    make_revision: Callable[..., Revision],
    make_replica: Callable[..., Replica],
) -> None:
    """Any other is a mistake of the box, and says which."""
    replica = make_replica(make_revision(), here)
    if there in TRANSITIONS[here]:
        replica.move(there)
        assert replica.state == there
    else:
        with pytest.raises(ValueError, match=f"cannot go from {here} to {there}"):
            replica.move(there)


def test_what_a_replica_is_told_follows_from_its_revision(
    make_revision: Callable[..., Revision],
) -> None:
    """Models come with the digest of their file."""
    revision = make_revision("kws", 7, models={"model": "m.onnx"})
    config = revision.replica_config(
        replica="r1", variant=revision.default, socket="/s", status="/p", trial=False
    )
    assert (config.function, config.revision, config.variant) == ("kws", 7, "onnx")
    assert (config.root, config.module, config.attribute) == ("/nowhere", "function.py", "kws")
    assert config.models["model"].path == "m.onnx"
    assert config.models["model"].sha256 == "b" * 64
