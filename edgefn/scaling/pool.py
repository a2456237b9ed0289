"""The replicas of one variant: how many there should be, if it were alone."""

import math
from dataclasses import dataclass, field
from typing import Final

from edgefn.scaling import energy
from edgefn.scaling.envelope import PATIENT_S, Curve, Envelope
from edgefn.scaling.headroom import Headroom
from edgefn.scaling.idle_times import IdleTimes
from edgefn.scaling.memory import Resident
from edgefn.scaling.recent_calls import WITHIN_S, RecentCalls
from edgefn.scaling.snapshot import SLO, FunctionLoad, VariantLoad
from edgefn.scaling.under_way import UP_S, UnderWay
from edgefn.scaling.windows import Highest

EVALUATE_S: Final = 0.25  # between two looks at the envelope, which cost about 0.1 ms each
HOLD_S: Final = 15.0  # what was needed within so long is kept
STEP_S: Final = 1.0  # between two steps down,
STEP: Final = 0.25  # of which each gives up this share at most
GROWTH: Final = 2  # times as many at most after one look: an estimate can be wrong
QUIET_S: Final = 1.0  # of a variant in use there is hardly a second without a call
SETTLE_S: Final = 10.0  # so long after a call a replica stays, though none is expected soon
LIVE_S: Final = 3600.0  # a deadline that was seen within so long is to be met again
START_MARGIN: Final = 1.5  # beyond the measured start, for the way to the box and back
UNKNOWN_BOOT_S: Final = 0.1


@dataclass(slots=True)
class Pool:
    """What is remembered of one variant of one function.

    Attributes:
        level: Replicas that it should have.
        since_s: When it was first seen.
        called_s: When it was last called.
        calls: Answered when it was last looked at; negative before.
        need: Replicas that the demand asks for, by the last look.
    """

    level: int
    since_s: float
    called_s: float
    calls: int = -1
    need: float = 0.0
    _wanted: int = 0  # by the last look: as many as are needed, or fewer to save energy
    _looked_s: float = -math.inf
    _stepped_s: float = -math.inf
    _made_room: bool = False
    _envelope: Envelope = field(default_factory=Envelope)
    _under_way: UnderWay = field(default_factory=UnderWay)
    _headroom: Headroom = field(default_factory=Headroom)
    _busy: Highest = field(default_factory=Highest)
    _held: Highest = field(default_factory=Highest)
    _tightest: Highest = field(default_factory=Highest)  # slacks, negative
    _asked: Highest = field(default_factory=Highest)  # of it by lower tiers
    _idle: IdleTimes = field(default_factory=IdleTimes)
    _recent: RecentCalls = field(default_factory=RecentCalls)

    def step(self, now_s: float, function: FunctionLoad, load: VariantLoad) -> None:
        """Takes in what came since the last step, and sets `level`."""
        called = self._take_in(now_s, load)
        scale = function.scale
        if self._envelope.is_measured:
            hold_s = self._hold_s(function, load)
            lowest, highest = self._look(now_s, function, load, hold_s)
        else:
            hold_s = scale.idle_s
            calls = load.ongoing + load.waiting
            lowest, highest = self._under_way.push(
                now_s,
                calls,
                calls_per_replica=function.calls_per_replica,
                called=called,
                hold_s=hold_s,
            )
            self.need = float(lowest)
        if self._stays(now_s, scale.idle_s):
            highest = max(highest, 1)
            if self.level == 0 and self._idle.is_telling and not self._made_room:
                lowest = max(lowest, 1)  # a call is expected: it shall not have to wait
        floor = 0
        if not load.name:
            floor = scale.min
            held = self._asked.push(now_s, function.reserved, self._hold_s(function, load))
            lowest, highest = max(lowest, function.reserved), max(highest, int(held))
        self._move(now_s, lowest, highest, hold_s)
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
        return boot_s * START_MARGIN > self._tightest_s(now_s)

    def resident(self, now_s: float, load: VariantLoad, *, count: int, kept: int) -> Resident:
        """Returns what so many replicas of it are worth, of which some are kept in any case."""
        boot_s = (load.boot_s or UNKNOWN_BOOT_S) * START_MARGIN
        patience_s = min(self._tightest_s(now_s), PATIENT_S)
        return Resident(
            count=count,
            kept=kept,
            memory_bytes=load.memory_bytes,
            calls=max(self._recent.expected(now_s), self._chance(now_s)),
            hurt=min(boot_s / patience_s, 1.0),
        )

    def _chance(self, now_s: float) -> float:
        """Returns the probability that it is called within the time of `RecentCalls`."""
        idle_s = now_s - self.called_s
        if self._idle.is_telling:
            return self._idle.chance(idle_s, WITHIN_S)
        return WITHIN_S / (WITHIN_S + idle_s)  # whoever was called lately is called again

    def _tightest_s(self, now_s: float) -> float:
        return -self._tightest.get(now_s, LIVE_S)

    def _take_in(self, now_s: float, load: VariantLoad) -> bool:
        wanted = [report for report in load.demand if report.moments_s]
        for report in wanted:
            self._envelope.add(report)
        called = bool(wanted or load.ongoing or load.waiting or load.calls != self.calls)
        if called:
            if self.calls >= 0:
                self._idle.add(now_s - self.called_s)
                came = sum(sum(report.calls) for report in wanted)
                self._recent.add(now_s, came or max(load.calls - self.calls, 0))
            self.called_s = now_s
            self._made_room = False
        self.calls = load.calls
        if wanted:
            self._tightest.push(now_s, -self._envelope.tightest_s(), LIVE_S)
        return called

    def _look(
        self, now_s: float, function: FunctionLoad, load: VariantLoad, hold_s: float
    ) -> tuple[int, int]:
        """Returns between which numbers of replicas to stay, by the envelope."""
        if now_s > self.called_s + function.scale.idle_s:
            self.need, self._wanted = 0.0, 0
            return 0, 0
        if now_s - self._looked_s >= EVALUATE_S:
            self._looked_s = now_s
            curve = self._envelope.curve(now_s)
            need = self._headroom.push(now_s, curve.need(SLO), curve.steady) / function.lanes
            self.need = (
                self._patient(now_s, need, curve, function, load) if curve.is_patient else need
            )
            self._wanted = math.ceil(self.need - 1e-9)
            if function.saves_energy:
                self._wanted = self._thriftiest(curve, function, load)
            self._held.push(now_s, self._wanted, hold_s)
        return self._wanted, int(max(self._wanted, self._held.get(now_s, hold_s)))

    def _patient(
        self, now_s: float, need: float, curve: Curve, function: FunctionLoad, load: VariantLoad
    ) -> float:
        """Returns how many replicas are needed if calls have no deadline.

        Callers that wait for each answer keep any number of replicas busy, so there are no more
        than calls under way are enough for; but not so few that calls wait for `PATIENT_S`.
        """
        calls = load.ongoing + load.waiting
        most = self._busy.push(now_s, calls / function.calls_per_replica, HOLD_S)
        backlog_s = calls * curve.each_s / function.lanes
        return max(min(need, max(most, 1.0)), backlog_s / PATIENT_S)

    def _thriftiest(self, curve: Curve, function: FunctionLoad, load: VariantLoad) -> int:
        servers = energy.thriftiest(
            curve,
            most=min(self._wanted, function.scale.max) * function.lanes,
            current=self.level * function.lanes,
            boot_s=load.boot_s or UNKNOWN_BOOT_S,
        )
        return math.ceil(servers / function.lanes)

    @staticmethod
    def _hold_s(function: FunctionLoad, load: VariantLoad) -> float:
        """Returns for how long the highest number is kept that was needed."""
        hold_s = min(HOLD_S, function.scale.idle_s)
        if function.saves_energy:
            hold_s = min(hold_s, energy.hold_s(load.boot_s or UNKNOWN_BOOT_S))
        return hold_s

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
