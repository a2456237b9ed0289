"""One deployed function: its connected endpoints, what they are worth, and whom calls may use."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from edgefn.routing.calibration import Calibration
from edgefn.routing.choice import Choice
from edgefn.routing.endpoint import Endpoint
from edgefn.routing.plan import ANY, ColdStart, Plan, make_plan
from edgefn.routing.service import Service
from edgefn.routing.table import Deployment, Place
from edgefn.routing.weights import (
    AWAY_HANDICAP,
    COLD_HANDICAP,
    PATIENT_TIER_HANDICAP,
    PEER_HANDICAP,
    SECOND_CHOICE_HANDICAP,
    TIER_HANDICAP,
    WEIGHTS,
    worths,
)

_MAX_PLANS: Final = 512  # callers choose accuracies as they like, and peers are many


class Function:
    """One deployed function.

    Args:
        deployment: As listed.
        home: The router's own place.
        services: How long each variant runs.
        calibrations: By tier.
        startable: Whether replicas may be started here at all.
        max_forwards: How often a call may be forwarded.

    Attributes:
        deployment: As listed.
        home: The router's own place.
        services: How long each variant runs.
        calibrations: By tier.
        patience_s: Of calls without a deadline.
        plan: For calls that ask for nothing.
    """

    __slots__ = (
        "_cold",
        "_endpoints",
        "_max_forwards",
        "_plans",
        "calibrations",
        "deployment",
        "home",
        "patience_s",
        "plan",
        "services",
    )

    def __init__(
        self,
        deployment: Deployment,
        home: Place,
        services: dict[str, Service],
        calibrations: dict[str, Calibration],
        *,
        startable: bool,
        max_forwards: int,
    ) -> None:
        self.deployment = deployment
        self.services = services
        self.calibrations = calibrations
        self.patience_s = WEIGHTS[deployment.objective].patience_s
        self.home = home
        self._max_forwards = max_forwards
        self._endpoints: list[Endpoint] = []
        self._cold = {
            one.name: ColdStart(one, services[one.name], calibrations[home.tier])
            for one in deployment.variants
            if startable and not one.unavailable and not one.quarantined
        }
        self._plans: dict[tuple[Choice, int], Plan] = {}
        self.connect(())

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All that are connected."""
        return tuple(self._endpoints)

    def connect(self, endpoints: Iterable[Endpoint]) -> None:
        """Takes the endpoints that are connected, in order of preference."""
        self._endpoints = list(endpoints)
        self.weigh()

    def weigh(self) -> None:
        """Works out anew what each endpoint is worth."""
        deployment = self.deployment
        worth = worths(deployment.objective, deployment.variants)
        homes, tier = _homes(self._endpoints), self.home.tier
        for one in self._endpoints:
            toll = worth[one.variant].cost + self._handicap(one)
            if homes.get((one.variant, one.path.place.name), one.server.name) != one.server.name:
                toll += AWAY_HANDICAP
            one.worth = worth[one.variant].worth
            one.toll = toll
            one.top = one.worth - toll
            one.second_choice = self._second_choice(one.variant, one.path.place.tier)
        for name, start in self._cold.items():
            start.worth = worth[name].worth
            start.toll = worth[name].cost + COLD_HANDICAP + TIER_HANDICAP * self._rank(tier)
            start.second_choice = self._second_choice(name, tier)
        self._plans.clear()
        self.plan = self.plan_for(ANY, 0)

    def plan_for(self, choice: Choice | None, hops: int) -> Plan:
        """Returns the candidates of calls that ask for something, or were forwarded already.

        Args:
            choice: What they ask for.
            hops: How often they were forwarded.
        """
        forwards = self._max_forwards - hops
        key = (choice or ANY, forwards)
        plan = self._plans.get(key)
        if plan is None:
            running = {one.variant for one in self._endpoints if one.here}
            cold = {name: start for name, start in self._cold.items() if name not in running}
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            plan = make_plan(self.deployment, self._endpoints, cold, key[0], forwards=forwards)
            if not self._rank(self.home.tier) and not any(one.here for one in plan.warm):
                plan.wake = max(plan.cold, key=_merit).variant.name if plan.cold else ""
            self._plans[key] = plan
        return plan

    def _handicap(self, one: Endpoint) -> float:
        place = one.path.place
        handicap = TIER_HANDICAP * self._rank(place.tier)
        if not one.here and place.tier == self.home.tier:
            handicap += PEER_HANDICAP
        if place.forwards > 1:
            handicap += PEER_HANDICAP
        if not one.replicas:
            handicap += COLD_HANDICAP
        return handicap

    def _rank(self, tier: str) -> int:
        tiers = self.deployment.tiers
        return tiers.index(tier) if tier in tiers else len(tiers)

    def _second_choice(self, variant: str, tier: str) -> float:
        handicap = PATIENT_TIER_HANDICAP * self._rank(tier)
        return handicap + (variant != self.deployment.default) * SECOND_CHOICE_HANDICAP


def _merit(start: ColdStart) -> float:
    return start.worth - start.toll - start.second_choice


def _homes(endpoints: list[Endpoint]) -> dict[tuple[str, str], str]:
    """Returns the server that is home to each variant at each place, by rendezvous hashing.

    Only where servers are shared by endpoints: a replica process serves one variant anyway.
    """
    homes: dict[tuple[str, str], tuple[bytes, str]] = {}
    for one in endpoints:
        server = one.server.name
        if server == one.name:
            continue
        key = (one.variant, one.path.place.name)
        digest = blake2b(f"{one.function}/{one.variant}/{server}".encode(), digest_size=8).digest()
        homes[key] = max(homes.get(key, (b"", "")), (digest, server))
    return {key: name for key, (_, name) in homes.items()}
