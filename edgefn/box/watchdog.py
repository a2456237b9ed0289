"""Whether a replica hangs, from what its status page says."""

from dataclasses import dataclass
from typing import Final

from edgefn.box.deaths import DeathCause
from edgefn_runtime.manifest import FunctionSpec

MARGIN_S: Final = 0.1  # a run that ends right at its limit is not killed
ASYNC_MARGIN_S: Final = 1.0  # the replica itself ends what is too long, unless its loop hangs
STALLED_S: Final = 2.0  # eight beats
FROZEN_S: Final = 0.75  # three beats, for one that a gateway suspects
START_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a replica is to be killed."""

    cause: DeathCause
    reason: str


def overdue_start(now_s: float, *, requested_s: float) -> Verdict | None:
    """Judges a replica that has not said yet that it is ready."""
    if now_s - requested_s <= START_TIMEOUT_S:
        return None
    return Verdict("start", f"it did not start within {START_TIMEOUT_S:g} s")


def overdue_run(
    now_s: float,
    *,
    run_started_s: float,
    beat_s: float,
    ready_s: float,
    spec: FunctionSpec,
    limit_s: float = STALLED_S,
) -> Verdict | None:
    """Judges a replica that serves.

    Args:
        now_s: Monotonic.
        run_started_s: When the user's code that runs now was entered, or 0.
        beat_s: When the replica's event loop last turned, or 0.
        ready_s: When the replica said that it is ready.
        spec: Has the limit on one run.
        limit_s: How long its event loop may stand still while nothing runs.
    """
    if run_started_s > 0:
        margin_s = ASYNC_MARGIN_S if spec.is_async else MARGIN_S
        if now_s - run_started_s > spec.timeout_s + margin_s:
            return Verdict("timeout", f"timed out after {spec.timeout_s:g} s")
    elif now_s - max(beat_s, ready_s) > limit_s:
        return Verdict("stalled", f"stalled: its event loop did not turn for {limit_s:g} s")
    return None
