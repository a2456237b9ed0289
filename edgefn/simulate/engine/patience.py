"""Gives up the calls whose time is up, as the production gateway does."""

from collections import deque
from collections.abc import Callable
from typing import Final

from edgefn.simulate.engine.agenda import Agenda
from edgefn.simulate.engine.call import Visit

GIVE_UP_S: Final = 0.005  # after its deadline


class Patience:
    """With the calls of one function at one gateway, which all may take equally long.

    So they come to their end in the order in which they came in, and one event at a time does.

    Args:
        agenda: Of the simulation.
        deadline_s: After which a call is late.
        give_up: Called with each one whose time is up and of which nothing has become yet.
    """

    __slots__ = ("_agenda", "_give_up", "_limit_s", "_visits")

    def __init__(
        self, agenda: Agenda, deadline_s: float, give_up: Callable[[float, Visit], None]
    ) -> None:
        self._agenda = agenda
        self._limit_s = deadline_s
        self._give_up = give_up
        self._visits: deque[Visit] = deque()

    def begin(self, visit: Visit, deadline_s: float) -> None:
        """Has patience with a call until that instant."""
        visits = self._visits
        if not visits:
            self._agenda.at(deadline_s + GIVE_UP_S, self._end, None)
        visits.append(visit)

    def _end(self, now_s: float, _: object) -> None:
        visits = self._visits
        while visits:
            visit = visits[0]
            if not visit.done:
                give_up_s = visit.arrived_s + self._limit_s + GIVE_UP_S
                if give_up_s > now_s:
                    self._agenda.at(give_up_s, self._end, None)
                    return
                self._give_up(now_s, visit)
            visits.popleft()
