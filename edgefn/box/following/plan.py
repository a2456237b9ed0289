"""What is to be done so that a box serves what its hub wants. Pure: the clock is handed in.

Nothing here remembers how far it came. What is there is held against what is wanted, again after
each step; so a box that was killed at any of them goes on where it was.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from edgefn.desired.state import DesiredFunction

FIRST_PAUSE_S: Final = 10.0  # after a failure; doubled with each one more
LONGEST_PAUSE_S: Final = 600.0
FIRST_WAIT_S: Final = 0.5  # after files could not be fetched
LONGEST_WAIT_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A function as it is on the box.

    Attributes:
        digest: Of the bundle that serves; empty: it is only known of.
        is_damaged: Whether its files have to be fetched again.
        is_quarantined: Whether its replicas died too often.
    """

    digest: str
    is_damaged: bool = False
    is_quarantined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why what is wanted of a function is not there.

    Attributes:
        digest: That was tried.
        revision: Of the hub that was tried.
        reason: For people.
        is_waiting: It did not fail: its files have not come yet.
        tries: So many in a row.
        again_s: When it is tried again.
    """

    digest: str
    revision: int
    reason: str
    is_waiting: bool
    tries: int
    again_s: float

    def is_of(self, function: DesiredFunction) -> bool:
        """Whether it is what is wanted that failed, and not what was wanted before."""
        return (self.digest, self.revision) == (function.digest, function.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do.

    Attributes:
        drop: Functions to remove, by name, whether they ever came up or not; before anything else.
        adopt: Functions that are there as they are wanted, though nothing says that the hub brought
            them: they were here before, or it was forgotten. From now on they are the hub's.
        bring: Functions to deploy, in this order.
        again_s: When there will be more to do; None: when something changes.
    """

    drop: tuple[str, ...]
    adopt: tuple[DesiredFunction, ...]
    bring: tuple[DesiredFunction, ...]
    again_s: float | None


def plan(
    now_s: float,
    desired: Iterable[DesiredFunction],
    deployed: Mapping[str, Deployed],
    brought: Mapping[str, int],
    failures: Mapping[str, Failure],
) -> Plan:
    """Returns what to do now.

    Args:
        now_s: Monotonic.
        desired: What the hub wants.
        deployed: What the box has, by name.
        brought: Functions that the hub brought, and the hub's revision that came up last.
        failures: What did not come up, by name.
    """
    wanted = {function.name: function for function in desired}
    adopt: list[DesiredFunction] = []
    due: list[DesiredFunction] = []
    again_s: list[float] = []
    for name, function in sorted(wanted.items()):
        if _is_there(function, deployed.get(name), brought.get(name)):
            if name not in brought:
                adopt.append(function)
            continue
        failure = failures.get(name)
        if failure is None or not failure.is_of(function) or failure.again_s <= now_s:
            due.append(function)
        else:
            again_s.append(failure.again_s)
    return Plan(
        drop=tuple(sorted(brought.keys() - wanted.keys())),
        adopt=tuple(adopt),
        # One that failed before must not keep the others waiting once more.
        bring=tuple(sorted(due, key=lambda one: (one.name in failures, one.name))),
        again_s=min(again_s, default=None),
    )


def failed(
    now_s: float,
    function: DesiredFunction,
    reason: str,
    before: Failure | None,
    *,
    is_waiting: bool,
) -> Failure:
    """Returns the failure of a step, with a longer pause than that of the one before.

    Args:
        now_s: Monotonic.
        function: That was to be brought.
        reason: For people.
        before: The one before, of whatever bundle.
        is_waiting: Whether just its files could not be fetched.
    """
    same = before is not None and before.is_of(function) and before.is_waiting == is_waiting
    tries = before.tries + 1 if before is not None and same else 1
    first_s = FIRST_WAIT_S if is_waiting else FIRST_PAUSE_S
    longest_s = LONGEST_WAIT_S if is_waiting else LONGEST_PAUSE_S
    return Failure(
        digest=function.digest,
        revision=function.revision,
        reason=reason,
        is_waiting=is_waiting,
        tries=tries,
        again_s=now_s + min(longest_s, first_s * 2.0 ** min(tries - 1, 16)),
    )


def _is_there(function: DesiredFunction, found: Deployed | None, came: int | None) -> bool:
    if found is None or found.digest != function.digest or found.is_damaged:
        return False
    # The same bundle deployed once more on the hub ends a quarantine here as it does there.
    return not found.is_quarantined or came in (None, function.revision)
