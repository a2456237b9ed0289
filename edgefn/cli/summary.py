"""What many calls came to."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from edgefn.client.answer import Answer

_LATE: Final = ("deadline_exceeded", "deadline_unattainable", "timed_out")


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Counts, and times in milliseconds as the client saw them.

    Attributes:
        calls: All.
        answered: Those that got an answer.
        errors: The others, by error code.
        misses: Answered late, or not at all because of the deadline.
        calls_per_s: Answered ones, over the time of all.
        p50_ms: Half of the answers came within this.
        p95_ms: 95 % of the answers came within this.
        p99_ms: 99 % of the answers came within this.
        queue_p50_ms: Half of the calls waited at most so long in a replica.
        compute_p50_ms: Half of the calls ran at most so long.
    """

    calls: int
    answered: int
    errors: dict[str, int]
    misses: int
    calls_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    queue_p50_ms: float
    compute_p50_ms: float


def summary_of(answers: Sequence[Answer], errors: Sequence[str], seconds: float) -> Summary:
    """Returns what calls came to.

    Args:
        answers: Of the calls that got one.
        errors: Code of the error of each other call.
        seconds: From the first call sent to the last outcome.
    """
    elapsed_ms = [answer.elapsed_ms for answer in answers]
    late = sum(answer.sla == "missed" for answer in answers)
    return Summary(
        calls=len(answers) + len(errors),
        answered=len(answers),
        errors=dict(Counter(errors).most_common()),
        misses=late + sum(code in _LATE for code in errors),
        calls_per_s=len(answers) / seconds if seconds > 0 else 0.0,
        p50_ms=percentile(elapsed_ms, 50),
        p95_ms=percentile(elapsed_ms, 95),
        p99_ms=percentile(elapsed_ms, 99),
        queue_p50_ms=percentile([answer.queue_ms for answer in answers], 50),
        compute_p50_ms=percentile([answer.compute_ms for answer in answers], 50),
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """Returns the smallest value that is not below `percent` % of all (nearest rank); 0 of none."""
    if not values:
        return 0.0
    rank = max(-(-len(values) * percent // 100), 1)
    return sorted(values)[rank - 1]
