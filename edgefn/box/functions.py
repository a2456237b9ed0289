"""What is deployed on a box, and the routing table that follows from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from edgefn.box.crash_loop import CrashLoop
from edgefn.box.deaths import Death
from edgefn.box.replica import Replica
from edgefn.box.revision import Revision
from edgefn.gateway.control import FunctionRoute, ReplicaRoute, VariantRoute
from edgefn_runtime.variant import Variant


@dataclass(slots=True, kw_only=True)
class Function:
    """One deployed function.

    Attributes:
        serving: The revision that takes its calls.
        crash_loops: Whether replicas may be started, by variant of that revision.
        load_s: How long the last replica of each variant took from fork to ready.
        wanted: Replicas of each variant that the box's own scaler wants.
        leases: Of each variant that are held.
        reserve: Replicas that the next tier is asked to have ready.
        reserved: Replicas that lower tiers ask this box to have ready.
        deaths: Of replicas of all its revisions, since the box started.
        last_death: The newest of them.
    """

    serving: Revision
    crash_loops: dict[str, CrashLoop] = field(default_factory=dict)
    load_s: dict[str, float] = field(default_factory=dict)
    wanted: dict[str, int] = field(default_factory=dict)
    leases: dict[str, int] = field(default_factory=dict)
    reserve: int = 0
    reserved: int = 0
    deaths: int = 0
    last_death: Death | None = None

    def __post_init__(self) -> None:
        self.serve(self.serving)

    def serve(self, revision: Revision) -> None:
        """Goes on with another revision, whose variants have no deaths to their account."""
        variants = revision.manifest.variants
        self.serving = revision
        self.crash_loops = {one.name: CrashLoop() for one in variants}
        self.load_s = {one.name: self.load_s.get(one.name, 0.0) for one in variants}
        startable = {one.name for one in self.startable()}
        for counts in (self.wanted, self.leases):
            kept = {name: counts[name] for name in startable & counts.keys()}
            counts.clear()
            counts.update({one.name: kept.get(one.name, 0) for one in variants})

    def serves(self, replica: Replica) -> bool:
        """Whether a replica is one of the revision that serves."""
        return (
            replica.revision.function == self.serving.function
            and replica.revision.number == self.serving.number
        )

    @property
    def quarantined_because(self) -> str:
        """Why the function is not started any more, which is so if its default variant is not."""
        return self.crash_loops[self.serving.default.name].quarantined_because

    def quarantine(self, reason: str) -> None:
        """Forbids every start until the next deployment."""
        for crash_loop in self.crash_loops.values():
            crash_loop.quarantine(reason)

    def startable(self) -> list[Variant]:
        """Returns the variants that may have replicas on this box, the default one first."""
        if self.serving.elsewhere:
            return []
        default, refused = self.serving.default, self.serving.refused
        others = (one for one in self.serving.manifest.variants if one.name != default.name)
        return [default, *(one for one in others if one.name not in refused)]

    def route(self, replicas: Iterable[Replica]) -> FunctionRoute:
        """Returns what gateways are told, given all replicas of the box."""
        reason = self.quarantined_because
        return FunctionRoute(
            name=self.serving.function,
            revision=self.serving.number,
            spec=self.serving.spec,
            schema=self.serving.manifest.schema,
            variants=tuple(map(self.variant_route, self.serving.manifest.variants)),
            default=self.serving.default.name,
            replicas=tuple(
                ReplicaRoute(replica.id, replica.variant.name, replica.socket)
                for replica in replicas
                if replica.state == "ready" and self.serves(replica)
            ),
            state="quarantined" if reason else "serving",
            reason=reason,
            digest=self.serving.digest,
            reserve=self.reserve,
        )

    def variant_route(self, variant: Variant) -> VariantRoute:
        """Returns what gateways are told of one variant."""
        name = variant.name
        load_s = self.load_s[name] or self._expected_load_s(variant)
        if reason := self.crash_loops[name].quarantined_because:
            return VariantRoute(variant=variant, state="quarantined", reason=reason, load_s=load_s)
        if reason := self.serving.elsewhere or self.serving.refused.get(name, ""):
            return VariantRoute(variant=variant, state="unavailable", reason=reason, load_s=load_s)
        return VariantRoute(variant=variant, load_s=load_s)

    def _expected_load_s(self, variant: Variant) -> float:
        """Returns how long the first replica of a variant should take here; 0: nothing is known.

        Its process takes as long as that of another variant, and its models at least as long as
        when they were measured.
        """
        measured_s = variant.measured.load_s if variant.measured is not None else 0.0
        return max(measured_s, *self.load_s.values())
