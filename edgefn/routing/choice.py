"""Which variants of a function a call may go to."""

from collections.abc import Mapping, Sequence

import msgspec

from edgefn.errors import AccuracyUnattainable, UnknownVariant
from edgefn.routing.table import DeployedVariant


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What a call asks of the variant that answers it.

    Attributes:
        variant: Its name; empty: any.
        min_accuracy: What it must have been measured to reach; 0: nothing.
        not_at: Places to which it does not go: it came from there.
    """

    variant: str = ""
    min_accuracy: float = 0.0
    not_at: tuple[str, ...] = ()


def choose(function: str, variants: Sequence[DeployedVariant], choice: Choice) -> DeployedVariant:
    """Returns the first variant that is as asked for; one that can serve, if there is such a one.

    Args:
        function: Name of the function.
        variants: Of it, the preferred one first.
        choice: What the call asks for.

    Raises:
        UnknownVariant: None has that name.
        AccuracyUnattainable: None of those that may be was measured to be as good.
    """
    named = [one for one in variants if choice.variant in ("", one.name)]
    if not named:
        names = ", ".join(one.name for one in variants)
        raise UnknownVariant(
            f"function {function!r} has no variant {choice.variant[:63]!r}; it has {names}"
        )
    fit = [one for one in named if _reaches(one, choice.min_accuracy)]
    if not fit:
        raise _unattainable(function, named, choice)
    return next((one for one in fit if not (one.unavailable or one.quarantined)), fit[0])


def _reaches(variant: DeployedVariant, min_accuracy: float) -> bool:
    if not min_accuracy:
        return True
    return variant.accuracy is not None and variant.accuracy >= min_accuracy


def _unattainable(
    function: str, variants: Sequence[DeployedVariant], choice: Choice
) -> AccuracyUnattainable:
    measured: Mapping[str, float] = {
        one.name: one.accuracy for one in variants if one.accuracy is not None
    }
    asked = f"the call asks for an accuracy of {choice.min_accuracy:g}"
    if not measured:
        what = f"variant {choice.variant!r}" if choice.variant else "no variant"
        return AccuracyUnattainable(
            f"{asked}, and that of {what} of {function!r} was {'not ' * bool(choice.variant)}"
            "measured: build it with data that have labels"
        )
    best = max(measured, key=lambda name: measured[name])
    what = f"variant {best}" if choice.variant else f"the best, {best},"
    return AccuracyUnattainable(
        f"{asked}; {what} of {function!r} has {measured[best]:.4g}",
        best=best,
        accuracy=measured[best],
    )
