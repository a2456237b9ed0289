"""What `edgefn describe` says of a function's declaration."""

from edgefn.cli.describe import declared
from edgefn_runtime.manifest import FunctionSpec


def test_how_calls_are_routed_is_told_in_words() -> None:
    """By what, how urgent, and each of the things that had to be switched on."""
    plain = dict(declared(FunctionSpec(name="f")))
    assert plain["routing"] == "by latency, priority 5"
    assert "accuracy" not in plain
    spec = FunctionSpec(
        name="f", objective="energy", priority=9, idempotent=True, escalate_below=0.8,
        min_accuracy=0.9, degrade=True,
    )  # fmt: skip
    told = dict(declared(spec))
    assert told["routing"] == (
        "by energy, priority 9, a call may run twice, confidence below 0.8 asks a better variant"
    )
    assert told["accuracy"] == "at least 0.9, unless nothing better could be in time"
