"""More calls than a server can answer: who is sent, and who is refused at once."""

import heapq
from dataclasses import dataclass, field

import pytest

from edgefn.routing.admission import Admission
from edgefn.routing.crowding import HOPEFUL_SDS, SURE_SDS, Crowding
from edgefn.routing.decisions import Send
from edgefn.routing.weighing import HOPELESS_SDS

SERVICE_S = 0.005
BUDGET_S = 0.1


@dataclass
class Outcomes:
    """What became of the calls of one priority."""

    in_time: int = 0
    dropped: int = 0
    refused: int = 0
    gave_way: int = 0

    @property
    def calls(self) -> int:
        return self.in_time + self.dropped + self.refused + self.gave_way


@dataclass
class Box:
    """One server, first in, first out, that drops what would be late when its turn comes."""

    site: object
    make_call: object
    free_s: float = 0.0
    coming: list = field(default_factory=list)

    def answer_until(self, now_s):
        while self.coming and self.coming[0][0] <= now_s:
            at_s, _, send, queue_s, batch = heapq.heappop(self.coming)
            self.site.now_s = at_s
            backlog_s = max(0.0, self.free_s - at_s)
            service_s = SERVICE_S if batch else 0.0
            self.site.answer(send, service_s, queue_s=queue_s, backlog_s=backlog_s, batch=batch)

    def offer(self, load, duration_s, priorities=(5,)):
        """Offers calls at an even pace, of these priorities in turn."""
        outcomes = {priority: Outcomes() for priority in priorities}
        start_s, gap_s = self.site.now_s, SERVICE_S / load
        for number in range(int(duration_s / gap_s)):
            now_s = start_s + number * gap_s
            self.answer_until(now_s)
            self.site.now_s = now_s
            priority = priorities[number % len(priorities)]
            self.call(now_s, priority, number, outcomes[priority])
        self.answer_until(now_s)
        self.site.now_s = now_s
        return outcomes

    def call(self, now_s, priority, number, outcome):
        decision = self.site.decide(self.make_call(priority=priority), within_s=BUDGET_S)
        if not isinstance(decision, Send):
            shed = "give way" in decision.error.message
            outcome.gave_way += shed
            outcome.refused += not shed
            return
        starts_s = max(now_s, self.free_s)
        runs = starts_s + SERVICE_S <= now_s + BUDGET_S
        outcome.in_time += runs
        outcome.dropped += not runs
        self.free_s = starts_s + SERVICE_S * runs
        at_s = starts_s + SERVICE_S * runs
        heapq.heappush(self.coming, (at_s, number, decision, starts_s - now_s, int(runs)))


@pytest.fixture
def box(site_of, make_call):
    """A box with one server that has answered calls for two seconds at 80 % load."""
    box = Box(site_of("a", each_s=SERVICE_S), make_call)
    [calm] = box.offer(0.8, 2.0).values()
    assert calm.in_time == calm.calls
    return box


def test_a_flood_is_refused_at_once_and_not_dropped_late(box):
    """At twice the capacity the server is kept busy, and hardly a call is sent in vain."""
    [flood] = box.offer(2.0, 5.0).values()
    assert flood.in_time * SERVICE_S > 0.97 * 5.0
    assert flood.dropped < 0.02 * flood.refused
    [more] = box.offer(2.0, 5.0).values()
    assert more.dropped <= 0.005 * more.refused


def test_after_a_flood_all_is_as_before(box):
    """A second later the same calls are sent as if nothing had been."""
    box.offer(3.0, 3.0)
    box.offer(0.8, 1.0)
    [after] = box.offer(0.8, 2.0).values()
    assert after.in_time == after.calls


def test_high_priorities_stay_served(box):
    """Of a flood of routine readings with some alarms, the alarms are answered."""
    outcomes = box.offer(2.0, 10.0, priorities=(1,) * 9 + (9,))
    assert outcomes[9].in_time > 0.95 * outcomes[9].calls
    assert outcomes[9].gave_way == 0
    assert outcomes[1].in_time > 0.3 * outcomes[1].calls


def test_what_a_shorter_queue_would_not_have_saved_is_no_overload(box):
    """Calls whose deadline is too near for an idle server get no one else refused."""
    for number in range(2000):
        box.site.now_s += 0.005
        hopeless = number % 2 == 0
        call = box.make_call(priority=9 if hopeless else 1)
        decision = box.site.decide(call, within_s=0.0005 if hopeless else BUDGET_S)
        if isinstance(decision, Send):
            box.site.now_s += SERVICE_S
            box.site.answer(decision, SERVICE_S)
        else:
            assert hopeless


def sent(priority, chance, queued_s=0.05):
    """Returns a send that had to wait, as the router would make it."""
    send = Send()
    send.purpose, send.priority, send.chance, send.queued_s = "first", priority, chance, queued_s
    send.sent_s, send.deadline_s = 0.0, 0.1
    return send


def lose(admission, priority, calls, lost):
    """Lets a tick pass in which some calls of a priority come too late."""
    for number in range(calls):
        admission.arrived(priority)
        send = sent(priority, 0.5)
        admission.sent(send, priority)
        admission.answered(send, 0.01, in_time=number >= lost)


def test_a_priority_is_refused_for_the_good_of_higher_ones_only():
    """Its own losses, and those of lower ones, do not shut anyone out."""
    admission = Admission()
    for _ in range(50):
        lose(admission, 1, 20, 10)
        lose(admission, 9, 20, 0)
        admission.tick()
    assert not admission.refuses
    for _ in range(20):
        lose(admission, 1, 20, 0)
        lose(admission, 9, 20, 10)
        admission.tick()
    assert admission.refuses
    assert 0.0 < admission.refused_share(1) <= 1.0
    assert admission.refused_share(9) == 0.0


def test_calls_are_let_in_again_when_all_is_well():
    """Little by little; after some seconds no one is refused."""
    admission = Admission()
    for _ in range(40):
        lose(admission, 1, 20, 0)
        lose(admission, 9, 20, 10)
        admission.tick()
    shares = []
    for _ in range(50):
        lose(admission, 1, 20, 0)
        lose(admission, 9, 20, 0)
        admission.tick()
        shares.append(admission.refused_share(1))
    assert shares[-1] == 0.0
    assert not admission.refuses


def test_long_waits_of_high_priorities_count_without_any_loss():
    """Calls without a deadline are never late; a wait of a second is too long for them as well."""
    admission = Admission()
    for _ in range(20):
        for priority in (1, 9):
            for _ in range(10):
                admission.arrived(priority)
                send = sent(priority, 1.0)
                send.deadline_s = float("inf")
                admission.sent(send, priority)
                admission.answered(send, 2.0, in_time=True)
        admission.tick()
    assert admission.refused_share(1) > 0.0
    assert admission.refused_share(9) == 0.0


def test_the_chance_that_is_required_rises_with_what_is_lost():
    """From a small one to a good one, within its bounds, and back."""
    crowding = Crowding()
    seen = []
    for share in (0.0, 0.25, 0.5, 0.5, 0.0):
        for _ in range(20):
            crowding.calls += 20.0
            crowding.lost += 20.0 * share
            crowding.tick()
        seen.append(crowding.least_sds)
    assert seen[0] == seen[-1] == HOPEFUL_SDS
    assert HOPEFUL_SDS < seen[1] < seen[2] == seen[3] == pytest.approx(SURE_SDS)


def test_a_loss_counts_when_it_becomes_likely_and_is_taken_back_if_it_was_none():
    """Many calls of a small chance make a crowd; when they were in time, there is none."""
    admission = Admission()
    sends = [sent(5, 0.1) for _ in range(100)]
    for send in sends:
        admission.arrived(5)
        admission.sent(send, 5)
    admission.tick()
    assert admission.least_sds(5) == pytest.approx(SURE_SDS)
    for send in sends:
        admission.answered(send, 0.01, in_time=True)
    admission.tick()
    assert admission.least_sds(5) == HOPEFUL_SDS


def test_high_priorities_need_not_be_sure_while_lower_ones_are_there():
    """There is room for them: lower ones can still be refused instead."""
    admission = Admission()
    for _ in range(30):
        lose(admission, 1, 20, 15)
        lose(admission, 9, 2, 0)
        admission.tick()
    assert admission.least_sds(1) == pytest.approx(SURE_SDS)
    assert admission.least_sds(9) == HOPELESS_SDS
