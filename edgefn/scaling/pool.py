"""The replicas of one variant: how many there should be, if it were alone."""

import math
from dataclasses import dataclass, field
from typing import Final

from edgefn.scaling.costs import PoolCosts
from edgefn.scaling.envelope import Envelope
from edgefn.scaling.idle_times import IdleTimes
from edgefn.scaling.snapshot import SLO, FunctionLoad, VariantLoad
from edgefn.scaling.under_way import UP_S, UnderWay
from edgefn.scaling.windows import Highest

EVALUATE_S: Final = 0.25  # between two looks at the envelope, which cost up to a millisecond each
HOLD_S: Final = 60.0  # what was needed within so long is kept
STEP_S: Final = 1.0  # between two steps down,
STEP: Final = 0.25  # of which each gives up this share at most
GROWTH: Final = 2  # times as many at most after one look: an estimate can be wrong
QUIET_S: Final = 1.0  # of a variant in use there is hardly a second without a call
SETTLE_S: Final = 10.0  # so long after a call a replica stays, though none is expected soon
LIVE_S: Final = 3600.0  # a deadline that was seen within so long is to be met again
START_MARGIN: Final = 1.5  # beyond the measured start, for the way to the box and back


@dataclass(slots=True)
class Pool:
    """What is remembered of one variant of one function.

    Attributes:
        level: Replicas that it should have.
        since_s: When it was first seen.
        called_s: When it was last called.
        need: Replicas that the demand asks for, by the last look.
    """

    level: int
    since_s: float
    called_s: float
    need: float = 0.0
    _calls: int = -1
    _looked_s: float = -math.inf
    _stepped_s: float = -math.inf
    _made_room: bool = False
    _envelope: Envelope = field(default_factory=Envelope)
    _under_way: UnderWay = field(default_factory=UnderWay)
    _held: Highest = field(default_factory=Highest)
    _tightest: Highest = field(default_factory=Highest)  # slacks, negative
    _idle: IdleTimes = field(default_factory=IdleTimes)

    def step(
        self, now_s: float, function: FunctionLoad, load: VariantLoad, costs: PoolCosts | None
    ) -> None:
        """Takes in what came since the last step, and sets `level`."""
        called = self._take_in(now_s, load)
        scale = function.scale
        hold_s = min(HOLD_S, scale.idle_s)
        if self._envelope.is_measured:
            lowest, highest = self._look(now_s, function, hold_s, costs)
        else:
            calls = load.ongoing + load.waiting
            lowest, highest = self._under_way.push(
                now_s,
                calls,
                calls_per_replica=function.calls_per_replica,
                called=called,
                hold_s=scale.idle_s,
            )
            hold_s = scale.idle_s
            self.need = calls / function.calls_per_replica
        if self._stays(now_s, scale.idle_s):
            highest = max(highest, 1)
            if self.level == 0 and self._idle.is_telling and not self._made_room:
                lowest = max(lowest, 1)  # a call is expected: it shall not have to wait
        self._move(now_s, lowest, highest, hold_s)
        floor = scale.min if not load.name else 0
        self.level = min(max(self.level, floor, 1 if load.waiting else 0), scale.max)

    def quiet_s(self, now_s: float) -> float:
        """Returns how long ago it was called; 0 if it is in use."""
        quiet_s = now_s - self.called_s
        return quiet_s if quiet_s >= QUIET_S else 0.0

    def give_way(self, level: int) -> None:
        """Makes room for others that are called; what made room comes back when it is called."""
        self._made_room = self._made_room or level < self.level
        self.level = level

    def must_stay(self, now_s: float, boot_s: float) -> bool:
        """Whether a call like those of late could not wait for a replica to start."""
        return boot_s * START_MARGIN > -self._tightest.get(now_s, LIVE_S)

    def chance(self, now_s: float, within_s: float) -> float:
        """Returns the probability that it is called within a time."""
        idle_s = now_s - self.called_s
        if not self.quiet_s(now_s):
            return 1.0
        if self._idle.is_telling:
            return self._idle.chance(idle_s, within_s)
        return within_s / (within_s + idle_s)  # whoever was called lately is called again

    def _take_in(self, now_s: float, load: VariantLoad) -> bool:
        wanted = [report for report in load.demand if report.moments_s]
        for report in wanted:
            self._envelope.add(report)
        called = bool(wanted or load.ongoing or load.waiting or load.calls != self._calls)
        if called:
            if self._calls >= 0:
                self._idle.add(now_s - self.called_s)
            self.called_s = now_s
            self._made_room = False
        self._calls = load.calls
        if wanted:
            self._tightest.push(now_s, -self._envelope.tightest_s(), LIVE_S)
        return called

    def _look(
        self, now_s: float, function: FunctionLoad, hold_s: float, costs: PoolCosts | None
    ) -> tuple[int, int]:
        """Returns between which numbers of replicas to stay, by the envelope."""
        if now_s - self.called_s >= function.scale.idle_s:
            self.need = 0.0
            return 0, 0
        if now_s - self._looked_s >= EVALUATE_S:
            self._looked_s = now_s
            curve = self._envelope.curve(now_s)
            need = curve.need(SLO) if costs is None else costs.cheapest(curve, self.level)
            self.need = need / function.lanes
            self._held.push(now_s, math.ceil(self.need - 1e-9), hold_s)
        lowest = math.ceil(self.need - 1e-9)
        return lowest, int(max(lowest, self._held.get(now_s, hold_s)))

    def _stays(self, now_s: float, idle_s: float) -> bool:
        """Whether one replica is to be there, though the demand of the last seconds needs none."""
        quiet_s = now_s - self.called_s
        if not self._idle.is_telling:
            return quiet_s < idle_s
        return self._idle.expects_call(quiet_s, settle_s=min(SETTLE_S, idle_s))

    def _move(self, now_s: float, lowest: int, highest: int, hold_s: float) -> None:
        """Brings the level nearer to what is needed: fast upwards, slowly downwards."""
        seen_s = now_s - self.since_s  # a window says nothing before it has been filled
        if lowest > self.level and (seen_s >= UP_S or self._envelope.is_measured):
            self.level = min(lowest, max(self.level * GROWTH, self.level + 1))
        elif highest < self.level and seen_s >= hold_s and now_s - self._stepped_s >= STEP_S:
            self.level = max(highest, self.level - max(int(self.level * STEP), 1))
            self._stepped_s = now_s
