"""Which endpoints the calls to a function may go to, by what they ask for."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Final

from edgefn.errors import (
    AccuracyUnattainable,
    EdgefnError,
    Quarantined,
    UnknownVariant,
    VariantUnavailable,
)
from edgefn.routing.calibration import Calibration
from edgefn.routing.choice import Choice, choose
from edgefn.routing.endpoint import UNKNOWN_WORK_S, Endpoint
from edgefn.routing.network import Path
from edgefn.routing.service import Service
from edgefn.routing.table import DeployedVariant, Deployment, Place

ANY: Final = Choice()


class ColdStart:
    """A variant that may be started here, and has no replica here yet.

    Attributes:
        variant: As deployed.
        service: How long it runs.
        calibration: How far predictions are to be trusted here.
        worth: Of its answer in time.
        toll: Costs and handicaps.
        second_choice: Additional handicap of what has no deadline.
    """

    __slots__ = ("calibration", "second_choice", "service", "toll", "variant", "worth")

    def __init__(self, variant: DeployedVariant, service: Service, calibration: Calibration):
        self.variant = variant
        self.service = service
        self.calibration = calibration
        self.worth = self.toll = self.second_choice = 0.0

    @property
    def run_s(self) -> float:
        """How long its first call will run."""
        return self.service.fixed_s + self.service.each_s

    @property
    def load_s(self) -> float:
        """How long its last replica took to start; 0 if that is not known."""
        return self.variant.load_s

    @property
    def work_s(self) -> float:
        """What a call will add to its queue."""
        return self.run_s or UNKNOWN_WORK_S


class Plan:
    """The candidates of one kind of call.

    Attributes:
        warm: Endpoints, in falling order of what they can be worth.
        cold: Variants to start here,
        cold_top: and what the score of the best of them can be.
        below: Endpoints below the floor of accuracy, for functions that may be degraded.
        paths: Networks that lead to `warm` and `below`.
        near: Endpoints on this box of the variant that takes least, for the last moment.
        wake: Variant to start here when a call leaves this box though it should not have to; or
            empty.
        error: Why there is no candidate at all.
    """

    __slots__ = ("below", "cold", "cold_top", "error", "near", "paths", "wake", "warm")

    def __init__(
        self,
        warm: Iterable[Endpoint],
        cold: Iterable[ColdStart],
        below: Iterable[Endpoint],
        error: EdgefnError | None = None,
    ) -> None:
        self.warm = _ranked(warm)
        self.cold = tuple(cold)
        self.cold_top = max((one.worth - one.toll for one in self.cold), default=-inf)
        self.below = _ranked(below)
        self.paths: tuple[Path, ...] = tuple(
            {id(one.path): one.path for one in (*self.warm, *self.below) if not one.here}.values()
        )
        here = [one for one in self.warm if one.here and one.replicas]
        least = min(here, key=_work_s, default=None)
        self.near = tuple(one for one in here if least and one.variant == least.variant)
        self.wake = ""
        self.error = error


def make_plan(
    deployment: Deployment,
    endpoints: Sequence[Endpoint],
    cold: Mapping[str, ColdStart],
    choice: Choice,
    *,
    forwards: int,
) -> Plan:
    """Returns the candidates for calls of one kind.

    Args:
        deployment: Of the function.
        endpoints: That are connected.
        cold: What could be started here, by variant.
        choice: What the calls ask for.
        forwards: How often they may still be forwarded; 0: they must stay here.
    """
    named = [one for one in deployment.variants if choice.variant in ("", one.name)]
    fit = {one.name for one in named if _reaches(deployment, one, choice)}
    low = {one.name for one in named if one.name not in fit} if deployment.degrade else set()
    if not fit:
        return Plan((), (), (), _unattainable(deployment, choice))
    reachable = [one for one in endpoints if one.here or _may_go(one.path.place, choice, forwards)]
    warm = [one for one in reachable if one.variant in fit]
    starts = [start for name, start in cold.items() if name in fit]
    below = [one for one in reachable if one.variant in low]
    error = None if warm or starts or below else _refusal(deployment, fit)
    return Plan(warm, starts, below, error)


def _may_go(place: Place, choice: Choice, forwards: int) -> bool:
    return place.forwards <= forwards and place.name not in choice.not_at


def _reaches(deployment: Deployment, variant: DeployedVariant, choice: Choice) -> bool:
    accuracy = variant.accuracy
    if accuracy is None:
        return not choice.min_accuracy
    return accuracy >= max(choice.min_accuracy, deployment.min_accuracy or 0.0)


def _ranked(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    return tuple(sorted(endpoints, key=lambda one: -one.top))


def _work_s(endpoint: Endpoint) -> float:
    return endpoint.service.fixed_s + endpoint.service.each_s


def _unattainable(deployment: Deployment, choice: Choice) -> EdgefnError:
    floor = max(choice.min_accuracy, deployment.min_accuracy or 0.0)
    try:
        choose(deployment.name, deployment.variants, Choice(variant=choice.variant))
        choose(
            deployment.name,
            deployment.variants,
            Choice(variant=choice.variant, min_accuracy=floor),
        )
    except (UnknownVariant, AccuracyUnattainable) as error:
        return error
    return VariantUnavailable(f"no variant of {deployment.name!r} reaches an accuracy of {floor:g}")


def _refusal(deployment: Deployment, fit: set[str]) -> EdgefnError:
    variants = [one for one in deployment.variants if one.name in fit]
    variant = next((one for one in variants if one.name == deployment.default), variants[0])
    name = deployment.name
    if variant.quarantined:
        return Quarantined(
            f"variant {variant.name} of function {name!r} is quarantined: "
            f"{variant.quarantined}. Deploy a fixed revision or roll back"
        )
    why = variant.unavailable or (
        f"the function may run in the tiers {', '.join(deployment.tiers)}, and no place there is "
        "connected"
    )
    return VariantUnavailable(
        f"variant {variant.name} of function {name!r} is not served here: {why}"
    )
