"""Verdicts on replicas against a fake clock."""

from edgefn.box.watchdog import (
    ASYNC_MARGIN_S,
    MARGIN_S,
    STALLED_S,
    START_TIMEOUT_S,
    Verdict,
    overdue_run,
    overdue_start,
)
from edgefn_runtime.manifest import FunctionSpec

PLAIN = FunctionSpec(name="f", timeout_s=2.0)
ASYNC = FunctionSpec(name="f", timeout_s=2.0, is_async=True)


def judge(
    now_s: float, *, run_started_s: float = 0.0, beat_s: float, spec: FunctionSpec = PLAIN
) -> Verdict | None:
    return overdue_run(now_s, run_started_s=run_started_s, beat_s=beat_s, ready_s=100.0, spec=spec)


def test_a_run_within_its_limit_is_left_alone() -> None:
    """Even though the event loop has not turned meanwhile."""
    assert judge(112.0 + MARGIN_S, run_started_s=110.0, beat_s=100.0) is None


def test_a_run_beyond_its_limit_is_a_timeout() -> None:
    """The reason says the limit."""
    verdict = judge(112.2, run_started_s=110.0, beat_s=111.9)
    assert verdict == Verdict("timeout", "timed out after 2 s")


def test_a_coroutine_has_time_to_end_itself() -> None:
    """Its replica answers what is too long, and is killed only if it cannot."""
    assert judge(112.2, run_started_s=110.0, beat_s=111.9, spec=ASYNC) is None
    late_s = 112.1 + ASYNC_MARGIN_S
    verdict = judge(late_s, run_started_s=110.0, beat_s=111.9, spec=ASYNC)
    assert verdict is not None and verdict.cause == "timeout"


def test_a_loop_that_does_not_turn_is_stalled() -> None:
    """Nothing runs, and yet nothing moves."""
    assert judge(110.0 + STALLED_S, beat_s=110.0) is None
    verdict = judge(110.1 + STALLED_S, beat_s=110.0)
    assert verdict is not None and verdict.cause == "stalled"


def test_a_replica_that_never_beat_is_judged_from_when_it_was_ready() -> None:
    """A page of zeros is not a stall of ages."""
    assert judge(101.0, beat_s=0.0) is None


def test_a_start_has_its_time() -> None:
    """Beyond it the replica is given up, with the time in the reason."""
    assert overdue_start(START_TIMEOUT_S, requested_s=0.0) is None
    verdict = overdue_start(START_TIMEOUT_S + 0.1, requested_s=0.0)
    assert verdict == Verdict("start", "it did not start within 30 s")
