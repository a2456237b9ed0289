"""Which measured variants are worth keeping, and in which order a box tries them: a Pareto set.

A variant is dominated if another one is at least as good in size, latency, accuracy and agreement
with the model as given, and better in one of them. Agreement counts beside accuracy because the
data may be too few, or the labels say too little, to tell two variants apart. Latencies within
`LATENCY_MARGIN` of each other count as equal, because so much is noise; dominance is then not
transitive, so a variant is dropped only for one that is kept. And it is dropped only for one of the
same backend: a box may have just the other.
"""

import math
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from edgefn.compress.outcome import Outcome
from edgefn_runtime.variant import Measurement, Variant

LATENCY_MARGIN: Final = 0.03
PREFERENCE_MARGIN: Final = 0.10  # less than that is not worth other answers
_RANK: Final = {"kept": 0, "dominated": 1, "refused": 2, "failed": 3, "skipped": 4}


def choose(
    outcomes: Sequence[Outcome],
    variants: Sequence[Variant],
    *,
    references: Sequence[str],
    min_accuracy: float | None,
    keep_all: bool,
) -> tuple[tuple[Outcome, ...], tuple[Variant, ...]]:
    """Drops what another variant dominates, and puts the rest in order of preference.

    Args:
        outcomes: Of all variants.
        variants: Those that are kept so far; all measured.
        references: Names of those that are kept even if they are dominated: the full precision,
            with which the others are compared.
        min_accuracy: The function's floor.
        keep_all: Whether to keep dominated ones, too.

    Returns:
        All outcomes, kept ones first in order of preference; and the variants in that order.
    """
    found = {} if keep_all else dominated(variants)
    dropped = {name: better for name, better in found.items() if name not in references}
    kept = in_order([each for each in variants if each.name not in dropped], min_accuracy)
    place = {variant.name: index for index, variant in enumerate(kept)}
    marked = [
        replace(
            each,
            state="dominated",
            reason=f"no better than {dropped[each.name]}",
        )
        if each.name in dropped
        else each
        for each in outcomes
    ]
    ordered = sorted(marked, key=lambda each: (_RANK[each.state], place.get(each.name, 0)))
    return tuple(ordered), tuple(kept)


def quality(measured: Measurement) -> float:
    """Returns what says how good the answers are: accuracy, else agreement, else SNR (dB).

    The variants of one build are measured on the same data, so all have the same of the three.
    """
    if measured.accuracy is not None:
        return measured.accuracy.value
    if measured.agreement is not None:
        return measured.agreement.value
    return math.inf if measured.snr_db is None else measured.snr_db


def faithfulness(measured: Measurement) -> float:
    """Returns the share of answers that are those of the model as given; 1 if nothing says so."""
    return 1.0 if measured.agreement is None else measured.agreement.value


def latency_s(measured: Measurement) -> float:
    """Returns the median latency of the smallest batch that was measured."""
    return min(measured.latencies, key=lambda latency: latency.batch).p50_s


def dominated(variants: Sequence[Variant]) -> dict[str, str]:
    """Returns the names of those to drop, each with the name of a kept one that dominates it.

    Args:
        variants: All measured.
    """
    kept: list[tuple[Variant, Measurement]] = []
    dropped: dict[str, str] = {}
    # Whatever dominates a variant comes before it in this order.
    ordered = sorted(
        measured_of(variants),
        key=lambda each: (
            each[1].size_bytes,
            -quality(each[1]),
            -faithfulness(each[1]),
            latency_s(each[1]),
        ),
    )
    for variant, measured in ordered:
        better = next(
            (
                other
                for other, found in kept
                if other.backend == variant.backend and _dominates(found, measured)
            ),
            None,
        )
        if better is None:
            kept.append((variant, measured))
        else:
            dropped[variant.name] = better.name
    return dropped


def in_order(variants: Sequence[Variant], min_accuracy: float | None) -> list[Variant]:
    """Returns measured variants in order of preference.

    Those that meet the floor come first, the fastest of them at the head; of those that are as fast
    within `PREFERENCE_MARGIN`, the one that answers most like the model as given, then the smaller.

    Args:
        variants: All measured.
        min_accuracy: The function's floor; None: every one meets it.
    """
    floor = -math.inf if min_accuracy is None else min_accuracy
    left = measured_of(variants)
    ordered = []
    while left:
        able = [each for each in left if quality(each[1]) >= floor] or left
        limit_s = min(latency_s(measured) for _, measured in able) * (1 + PREFERENCE_MARGIN)
        fastest = [each for each in able if latency_s(each[1]) <= limit_s]
        first = min(
            fastest,
            key=lambda each: (-faithfulness(each[1]), each[1].size_bytes, latency_s(each[1])),
        )
        ordered.append(first[0])
        left.remove(first)
    return ordered


def measured_of(variants: Sequence[Variant]) -> list[tuple[Variant, Measurement]]:
    """Returns each variant with its measurement.

    Raises:
        ValueError: One was not measured.
    """
    found = []
    for variant in variants:
        if variant.measured is None or not variant.measured.latencies:
            raise ValueError(f"variant {variant.name!r} was not measured")
        found.append((variant, variant.measured))
    return found


def _dominates(first: Measurement, second: Measurement) -> bool:
    fast, slow = latency_s(first), latency_s(second)
    return (
        first.size_bytes <= second.size_bytes
        and quality(first) >= quality(second)
        and faithfulness(first) >= faithfulness(second)
        and fast <= slow * (1 + LATENCY_MARGIN)
        and (
            first.size_bytes < second.size_bytes
            or quality(first) > quality(second)
            or faithfulness(first) > faithfulness(second)
            or fast * (1 + LATENCY_MARGIN) < slow
        )
    )
