"""What goes wrong with boxes: times in which they are slow, and crashes."""

import heapq
from collections.abc import Callable, Iterator

from edgefn.simulate.engine.ports import Crash
from edgefn.simulate.fleet import Box, sites_of
from edgefn.simulate.scenario import Scenario
from edgefn.simulate.spells import Spells
from edgefn.simulate.streams import stream


class Troubles:
    """The faults of all boxes; an `edgefn.simulate.engine.ports.Faults`."""

    def __init__(self, scenario: Scenario, *, seed: int) -> None:
        """Draws nothing yet."""
        self._seed = seed
        self._boxes = [box for site in sites_of(scenario) for box in site.boxes]

    def speed_of(self, box: int) -> Callable[[float], float] | None:
        """See `Faults`."""
        model = self._boxes[box].model
        if not self._boxes[box].straggles:
            return None
        spells = Spells(
            stream(self._seed, "straggler", box),
            for_s=model.straggles_for_s,
            every_s=model.straggles_every_s,
        )
        slow = model.straggles_at
        return lambda now_s: slow if spells.at(now_s) >= 0 else 1.0

    def crashes(self) -> Iterator[Crash]:
        """See `Faults`; it goes on for ever unless no box crashes."""
        frail = [box for box in self._boxes if box.model.crashes_every_s > 0.0]
        return heapq.merge(*(self._crashes_of(box) for box in frail))

    def _crashes_of(self, box: Box) -> Iterator[Crash]:
        rng = stream(self._seed, "crash", box.index)
        now_s = 0.0
        while True:
            at_s = now_s + float(rng.exponential(box.model.crashes_every_s))
            now_s = at_s + box.model.down_for_s
            yield Crash(at_s, box.index, now_s)


def faults_of(scenario: Scenario, *, seed: int) -> Troubles:
    """Returns the faults of a run; equal arguments give equal faults."""
    return Troubles(scenario, seed=seed)
