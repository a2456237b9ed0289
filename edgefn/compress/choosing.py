"""Which of the measured variants are kept, and in which order: pure."""

from collections.abc import Sequence

from msgspec.structs import replace

from edgefn.compress.outcome import Outcome
from edgefn.compress.pareto import dominated, in_order
from edgefn_runtime.variant import Variant

_RANK = {"kept": 0, "dominated": 1, "refused": 2, "failed": 3, "skipped": 4}


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
