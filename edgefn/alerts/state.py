"""When an alert is raised and when it is cleared: k of the last n answers must agree.

Hysteresis twice: `when` and `clear` may be thresholds apart, and either must hold often enough. A
change starts the count anew, so the next one needs k answers that came after it.
"""

from dataclasses import dataclass
from typing import Literal, Self

from edgefn.alerts.declaration import window_of
from edgefn_runtime.manifest import Alert

Change = Literal["raised", "cleared"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How many of how many answers must agree."""

    needed: int
    window: int

    @classmethod
    def of(cls, alert: Alert) -> Self:
        """Returns the rule of an alert of a spec."""
        return cls(*window_of(alert.for_ or "1 of 1"))


@dataclass(frozen=True, slots=True)
class AlertState:
    """What is remembered of one alert at one source.

    Attributes:
        raised: Whether it is.
        held: For each of the last answers a bit, the newest the lowest: whether they spoke for a
            change, that is for raising it while it is not raised, and for clearing it while it is.
    """

    raised: bool = False
    held: int = 0


def step(
    rule: Rule, state: AlertState, *, holds: bool, clears: bool
) -> tuple[AlertState, Change | None]:
    """Returns the state after one more answer, and what changed.

    Args:
        rule: Of the alert.
        state: Before.
        holds: Whether the answer fulfils `when`.
        clears: Whether it fulfils `clear`.
    """
    speaks = clears if state.raised else holds
    held = (state.held << 1 | speaks) & (1 << rule.window) - 1
    if held.bit_count() < rule.needed:
        return AlertState(state.raised, held), None
    return AlertState(not state.raised), "cleared" if state.raised else "raised"
