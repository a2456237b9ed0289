"""Where leases are had: what a holder asks for, from the ledger and the control loop of the box."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edgefn.box.control_loop import ControlLoop
from edgefn.box.functions import Function
from edgefn.box.leasing.ledger import Held, Key
from edgefn.box.replica import Replica
from edgefn.errors import NotDeployed, Quarantined, VariantUnavailable
from edgefn_runtime.leasing import MAX_PER_BOX, LeaseRefused, LeaseState, LeaseTaken, TakeLease

SERVED_WITHIN_S: Final = 60.0  # a lease may be placed before the box has what it is for
STARTED_WITHIN_S: Final = 60.0  # twice the time that a replica has to start

_log = logging.getLogger(__name__)

Answer = Callable[[LeaseTaken | LeaseRefused], None]


@dataclass(slots=True, kw_only=True, eq=False)
class Claim:
    """What one holder asked for, and what became of it.

    Attributes:
        asked: For.
        answer: Called once, when it is taken or refused.
        since_s: When it was asked for, or, later, when it was granted.
        lease: In the ledger; None before the box serves the variant, and after the end.
    """

    asked: TakeLease
    answer: Answer
    since_s: float
    lease: Held | None = None

    @property
    def key(self) -> Key:
        """Of the ledger."""
        return self.asked.function, self.asked.variant


class LeaseDesk:
    """Grants leases, and says how they are.

    A lease is granted as soon as the box serves its variant, and counts from then on; it is taken
    once a replica answers.

    Args:
        control: Keeps the replicas, and the ledger.
        clock: Monotonic.
    """

    def __init__(
        self, control: ControlLoop, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._control = control
        self._ledger = control.ledger
        self._clock = clock
        self._waiting: list[Claim] = []
        self._looking = False
        self._released = False
        control.watch(self._look)

    def take(self, asked: TakeLease, answer: Answer) -> Claim:
        """Begins to take a lease; `answer` is called when it is taken or refused."""
        claim = Claim(asked=asked, answer=answer, since_s=self._clock())
        self._waiting.append(claim)
        self._look()
        return claim

    def check(self, claim: Claim) -> LeaseState:
        """Says how a lease is that was taken."""
        if claim.lease is None:
            return LeaseState(healthy=False, reason="it was given back")
        refused = self._missing(claim) or self._refusal(claim)
        if refused is not None:
            return LeaseState(healthy=False, reason=refused.message)
        replica = self._replica(claim.lease)
        ready = replica is not None and replica.state == "ready"
        return LeaseState(healthy=True, replica=replica.id if replica and ready else "")

    def give_back(self, claim: Claim) -> None:
        """Ends a lease that is no longer needed, taken or not."""
        self._end(claim, lost=False)

    def lose(self, claim: Claim) -> None:
        """Ends a lease whose holder is gone, taken or not."""
        self._end(claim, lost=True)

    def release(self) -> None:
        """Leaves everything as it is: the box is about to end, and its holders hear of that."""
        self._released = True
        self._waiting.clear()

    def _end(self, claim: Claim, *, lost: bool) -> None:
        if self._released:
            return
        if claim in self._waiting:
            self._waiting.remove(claim)
        lease, claim.lease = claim.lease, None
        if lease is None:
            return
        if lost and lease.key[0] in self._control.functions:
            self._ledger.lose(self._clock(), lease)
            _log.warning("%s is gone; what it held of %s, %s serves on", lease.holder, *lease.key)
        else:
            self._ledger.give_back(lease)
        self._control.reconcile(self._clock())

    def _look(self) -> None:
        """Grants what can be granted, and answers what can be answered."""
        if self._looking or not self._waiting:
            return
        self._looking = True  # what it does to the replicas makes it be called again
        try:
            granted = [claim for claim in self._waiting if self._grant(claim)]
            if granted:
                self._control.reconcile(self._clock())
            for claim in tuple(self._waiting):
                self._settle(claim)
        finally:
            self._looking = False

    def _grant(self, claim: Claim) -> bool:
        """Returns whether it could be granted now, and was."""
        if claim.lease is not None or self._missing(claim) or self._refusal(claim):
            return False
        claim.since_s = self._clock()
        claim.lease = self._ledger.take(claim.since_s, claim.key, claim.asked.holder)
        return True

    def _settle(self, claim: Claim) -> None:
        """Answers a claim, if it is time to."""
        now_s = self._clock()
        if claim.lease is None:
            refused = self._refusal(claim)
            if refused is None and now_s - claim.since_s >= SERVED_WITHIN_S:
                refused = self._missing(claim)
        else:
            replica = self._replica(claim.lease)
            if replica is not None and replica.state == "ready":
                self._waiting.remove(claim)
                claim.answer(
                    LeaseTaken(
                        lease=claim.lease.number,
                        replica=replica.id,
                        pid=replica.pid or 0,
                        adopted=replica.requested_s < claim.since_s,
                    )
                )
                return
            refused = self._missing(claim) or self._refusal(claim)
            if refused is None and now_s - claim.since_s >= STARTED_WITHIN_S:
                refused = _unavailable(claim, f"no replica started within {STARTED_WITHIN_S:g} s")
        if refused is not None:
            self._refuse(claim, refused)

    def _refuse(self, claim: Claim, refused: LeaseRefused) -> None:
        self._waiting.remove(claim)
        if claim.lease is not None:
            self._ledger.give_back(claim.lease)  # the next step drains what is too much
            claim.lease = None
        claim.answer(refused)

    def _missing(self, claim: Claim) -> LeaseRefused | None:
        """Says that the box does not serve what is asked for, if that is so, yet or any more."""
        name, variant = claim.key
        function = self._control.functions.get(name)
        if function is None:
            return LeaseRefused(NotDeployed.code, f"no function {name!r} is deployed on this box")
        if _variant_state(function, variant) is None:
            said = f"what serves as {name!r} on this box has no variant {variant!r}"
            return LeaseRefused("unknown_variant", said)
        return None

    def _refusal(self, claim: Claim) -> LeaseRefused | None:
        """Says why a variant that the box knows can have no replica for this lease, if so."""
        function = self._control.functions.get(claim.key[0])
        found = _variant_state(function, claim.key[1]) if function is not None else None
        if found is None:
            return None
        state, reason = found
        if state == "quarantined":
            return LeaseRefused(Quarantined.code, reason)
        if state == "unavailable":
            return LeaseRefused(VariantUnavailable.code, reason)
        if claim.lease is None:
            if self._ledger.held(claim.key) >= MAX_PER_BOX:
                return _unavailable(claim, f"{MAX_PER_BOX} of them are held on this box already")
        elif self._control.lacks_room(claim.key) and self._replica(claim.lease) is None:
            return _unavailable(claim, "there is no memory for another one on this box")
        return None

    def _replica(self, lease: Held) -> Replica | None:
        """Returns the replica that a lease shows now."""
        name, variant = lease.key
        function = self._control.functions.get(name)
        if function is None or _variant_state(function, variant) is None:
            return None
        live = self._control.live(function, function.serving.manifest.variant(variant))
        self._ledger.bind(lease.key, [replica.id for replica in live])
        return next((replica for replica in live if replica.id == lease.replica), None)


def _variant_state(function: Function, name: str) -> tuple[str, str] | None:
    """Returns the state of a variant and the reason for it; None if there is none of that name."""
    for variant in function.serving.manifest.variants:
        if variant.name == name:
            route = function.variant_route(variant)
            return route.state, route.reason
    return None


def _unavailable(claim: Claim, reason: str) -> LeaseRefused:
    name, variant = claim.key
    return LeaseRefused("unavailable", f"no replica of {name}, variant {variant}: {reason}")
