"""How the replicas that a function may have are shared among its variants."""

from collections.abc import Sequence


def share(wanted: Sequence[int], *, minimum: int, maximum: int) -> list[int]:
    """Returns how many replicas each variant gets.

    The default variant gets what it must have, then each other one that wants any gets its first:
    a call waits for it, or it was called lately. What is left goes to those that want more, the
    default variant first.

    Args:
        wanted: By variant, the default one first.
        minimum: Of the default variant.
        maximum: Of all together.
    """
    kept = max(minimum, 1)
    given = [min(want, kept if index == 0 else 1) for index, want in enumerate(wanted)]
    left = maximum
    for index, count in enumerate(given):
        given[index] = min(count, left)
        left -= given[index]
    for index, want in enumerate(wanted):
        more = min(want - given[index], left)
        given[index] += more
        left -= more
    return given
