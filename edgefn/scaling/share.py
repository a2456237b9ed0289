"""How the replicas that a function may have are shared among its variants."""

from collections.abc import Sequence


def share(
    wanted: Sequence[int], quiet_s: Sequence[float], *, minimum: int, maximum: int
) -> list[int]:
    """Returns how many replicas each variant gets.

    The default variant gets what it must have, then each one that wants any gets its first, and
    what is left goes to those that want more. Each time those that were called last come before
    those that are only kept warm, so that no call waits for a replica that nobody uses; and the
    default variant comes first among equals.

    Args:
        wanted: By variant, the default one first.
        quiet_s: By variant, how long ago it was called; 0 if it is in use.
        minimum: Of the default variant.
        maximum: Of all together.
    """
    given = [0] * len(wanted)
    left = maximum

    def give(index: int, up_to: int) -> None:
        nonlocal left
        more = max(0, min(wanted[index], up_to, given[index] + left) - given[index])
        given[index] += more
        left -= more

    give(0, minimum)
    order = sorted(range(len(wanted)), key=lambda index: quiet_s[index])
    for up_to in (1, maximum):
        for index in order:
            give(index, up_to)
    return given
