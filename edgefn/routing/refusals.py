"""What callers are told who are refused."""

from math import inf
from typing import Final

from edgefn.errors import (
    DeadlineUnattainable,
    EdgefnError,
    NotDeployed,
    QueueFull,
    VariantUnavailable,
)
from edgefn.routing.decisions import Refuse, Send
from edgefn.routing.endpoint import Endpoint
from edgefn.routing.plan import ColdStart

_AGAIN_S: Final = 1.0


def not_deployed(name: str) -> Refuse:
    """Returns the refusal of a call to a function that does not exist here."""
    return Refuse(error=NotDeployed(f"no function {name!r} is deployed on this box"))


def too_late(budget_s: float) -> Refuse:
    """Returns the refusal of a call whose deadline has passed."""
    return Refuse(
        error=DeadlineUnattainable(
            f"the deadline passed {-budget_s * 1000:.1f} ms before the call could be sent",
            budget_ms=0.0,
        )
    )


def shed(name: str, priority: int) -> EdgefnError:
    """Returns the error of a call that gives way to others."""
    return QueueFull(
        f"the box has more work than it can do in time, and calls of priority {priority}, as this "
        f"one of {name!r}, give way to more urgent ones; try again later",
        retry_after_s=_AGAIN_S,
        priority=priority,
    )


def unattainable(name: str, nearest: Send, budget_s: float) -> Refuse:
    """Returns the refusal of a call that would not be answered in time."""
    predicted_s = nearest.predicted_s
    said = f"the replicas of {name!r} need about {predicted_s * 1000:.1f} ms"
    if predicted_s < budget_s:
        said += f", in {1.0 - nearest.chance:.0%} of cases more than the call can wait"
    detail = {"predicted_ms": round(predicted_s * 1000, 3), "budget_ms": round(budget_s * 1000, 3)}
    if predicted_s - nearest.wait_s < budget_s:  # it is the queue, and that will get shorter
        detail["retry_after_s"] = round(nearest.wait_s, 3)
    return Refuse(
        error=DeadlineUnattainable(
            f"{said}; the call has {budget_s * 1000:.1f} ms left",
            **detail,
        ),
        variant=nearest.variant,
        work_s=nearest.work_s,
    )


def hopeless_start(name: str, start: ColdStart, budget_s: float) -> Refuse:
    """Returns the refusal of a call that cannot outlast the start of a replica, which is made."""
    load_s = start.load_s
    return Refuse(
        error=DeadlineUnattainable(
            f"no replica of {name!r} runs, and its last start took {load_s:.3f} s; the "
            f"call had {budget_s * 1000:.1f} ms left. One is being started: try again",
            predicted_ms=round((load_s + start.run_s) * 1000, 3),
            budget_ms=round(budget_s * 1000, 3),
            retry_after_s=round(load_s, 3),
        ),
        wake=start.variant.name,
        variant=start.variant.name,
        work_s=start.work_s,
    )


def no_room(name: str, endpoints: tuple[Endpoint, ...], now_s: float) -> Refuse:
    """Returns the refusal of a call for which all endpoints are shut, or out of reach."""
    full = [one for one in endpoints if one.outstanding >= one.limit and not one.path.down]
    if not full:
        return Refuse(
            error=VariantUnavailable(
                f"what serves {name!r} loses its calls or cannot be reached; try again later",
                retry_after_s=_AGAIN_S,
            ),
            variant=endpoints[0].variant,
        )
    sends = [one.prepare(now_s, inf, 0) for one in full]
    soonest = min(sends, key=lambda send: send.predicted_s)
    held = min(one.limit for one in full)
    return Refuse(
        error=QueueFull(
            f"all {len(full)} replicas of {name!r} hold {held} calls; try again later",
            retry_after_s=round(soonest.predicted_s, 3),
        ),
        variant=soonest.variant,
        work_s=soonest.work_s,
    )
