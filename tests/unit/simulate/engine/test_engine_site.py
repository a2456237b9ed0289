"""Sites, links and boxes under policies that do what a test says."""

from math import inf

import pytest

from edgefn.errors import DeadlineUnattainable
from edgefn.routing.decisions import Refuse, Send
from edgefn.routing.events import (
    Abandoned,
    Answered,
    Connected,
    Disconnected,
    Failed,
    ProbeAnswered,
    TableChanged,
)
from edgefn.simulate.arrival import Arrival
from edgefn.simulate.engine.fleet import Fleet
from edgefn.simulate.engine.ports import Crash
from edgefn.simulate.engine.simulation import Simulation
from edgefn.simulate.scenario import (
    BoxModel,
    FunctionModel,
    LinkModel,
    Scenario,
    SiteModel,
    VariantModel,
    Workload,
)

RUN_S = 0.01
RTT_S = 0.04
LOCAL_S = 0.002
HERE = "eye/small@shop.1"
HUB = "hub/eye/large"


def scenario(deadline_s=0.1, max_batch=1):
    small = VariantModel(name="small", tiers=("edge",), each_s=RUN_S, cost=1.0)
    large = VariantModel(name="large", tiers=("cloud",), each_s=RUN_S, cost=3.0)
    return Scenario(
        name="scripted",
        duration_s=10.0,
        warm_up_s=0.0,
        functions=(FunctionModel(name="eye", deadline_s=deadline_s, variants=(small, large)),),
        sites=(
            SiteModel(name="shop", boxes=(BoxModel(max_batch=max_batch),)),
            SiteModel(name="hub", tier="cloud", calls=0.0, boxes=(BoxModel(),)),
        ),
        links=(LinkModel(between=("edge", "cloud"), rtt_s=RTT_S),),
        local_rtt_s=LOCAL_S,
        workload=Workload(calls_per_s=1.0),
    )


class Wire:
    """A path that takes the same time always, but for one outage."""

    base_rtt_s = RTT_S

    def __init__(self, outage):
        self.begins_s, self.ends_s = outage

    def trip_s(self, now_s, size_bytes, luck):
        return self.expected_s(now_s, size_bytes)

    def expected_s(self, now_s, size_bytes):
        out = self.begins_s <= now_s < self.ends_s
        return RTT_S / 2 + (self.ends_s - now_s if out else 0.0)


class Wires:
    def __init__(self, outage):
        self.outage = outage

    def path(self, from_site, to_site):
        return Wire(self.outage)


class Faults:
    def __init__(self, crashes=()):
        self._crashes = crashes

    def speed_of(self, box):
        return None

    def crashes(self):
        return self._crashes


class Scripted:
    """Sends every call to one endpoint; what comes from another gateway to its own box."""

    def __init__(self, endpoint=HERE, hedge=None):
        self.endpoint = endpoint
        self.hedged_to = hedge
        self.events = []
        self.calls = []

    def decide(self, now_s, call, rng):
        self.calls.append((now_s, call.hops, call.deadline_s))
        if self.endpoint is None:
            return Refuse(error=DeadlineUnattainable("never"))
        return self._send(now_s, call, self.endpoint, "first")

    def hedge(self, now_s, call, first, rng):
        return self._send(now_s, call, self.hedged_to, "hedge")

    def observe(self, now_s, event):
        self.events.append((now_s, event))

    def of(self, kind):
        return [(at_s, event) for at_s, event in self.events if type(event) is kind]

    def _send(self, now_s, call, endpoint, purpose):
        send = Send()
        send.endpoint, send.variant = endpoint, "large" if "large" in endpoint else "small"
        send.place, send.purpose, send.sent_s = "", purpose, now_s
        send.deadline_s = inf if call.deadline_s is None else call.deadline_s
        send.size_bytes = call.size_bytes
        send.network_s = RTT_S if endpoint == HUB else LOCAL_S
        send.cold_s = send.wait_s = 0.0
        send.service_s = send.work_s = RUN_S
        send.hedge_at_s = now_s + 0.02 if self.hedged_to and purpose == "first" else inf
        return send


def run(shop, *at_s, hub=None, crashes=(), outage=(inf, inf), queue="edf", **changes):
    """Lets calls come to the shop, and returns the fleet."""
    hub = hub or Scripted("eye/large@hub.1")
    model, faults = scenario(**changes), Faults(crashes)
    fleet = Fleet(
        model,
        Wires(outage),
        faults,
        queue=queue,
        uniform=lambda purpose, index: lambda: 0.5,
        normal=lambda purpose, index: lambda: 0.0,
    )
    simulation = Simulation(fleet, lambda site, oracle: {"shop": shop, "hub": hub}[site], faults)
    simulation.run(iter([Arrival(one, 0, 0, 1000, 0.0, 0.0) for one in at_s]), lambda now_s: None)
    return fleet


def test_policy_hears_of_all_endpoints_before_the_first_call():
    """The table comes first, then every endpoint in it connects."""
    shop = Scripted()
    run(shop)
    assert type(shop.events[0][1]) is TableChanged
    assert {event.endpoint for _, event in shop.of(Connected)} == {HERE, HUB}


def test_answer_reports_what_happened():
    """A reply tells queue time, service time and the backlog behind it, after its way back."""
    shop = Scripted()
    run(shop, 1.0, 1.001)
    (first_s, first), (second_s, second) = shop.of(Answered)
    assert first_s == pytest.approx(1.0 + LOCAL_S + RUN_S)
    assert (first.queue_s, first.service_s, first.batch) == (0.0, pytest.approx(RUN_S), 1)
    assert second.queue_s == pytest.approx(RUN_S - 0.001)
    assert second.backlog_s == 0.0


def test_forwarded_call_may_only_use_what_is_left_after_the_way():
    """Another gateway sees one hop, and a budget without the time that the network takes."""
    hub = Scripted("eye/large@hub.1")
    shop = Scripted(HUB)
    fleet = run(shop, 1.0, hub=hub)
    ((came_s, hops, deadline_s),) = hub.calls
    assert (came_s, hops) == (pytest.approx(1.0 + RTT_S / 2), 1)
    assert deadline_s == pytest.approx(1.0 + 0.1 - RTT_S / 2)
    ((heard_s, answer),) = shop.of(Answered)
    assert heard_s == pytest.approx(1.0 + RTT_S + LOCAL_S + RUN_S)
    assert heard_s - 1.0 - answer.queue_s - answer.service_s == pytest.approx(RTT_S)
    assert fleet.tally.totals()["variants"] == {"large@cloud": 1}


def test_outage_holds_messages_until_it_ends():
    """A call in an outage is late because of the network, and overdue for the policy."""
    shop = Scripted(HUB)
    fleet = run(shop, 1.0, outage=(0.9, 1.5))
    assert fleet.tally.totals()["misses"] == {"network": 1}
    ((at_s, abandoned),) = shop.of(Abandoned)
    assert abandoned.overdue
    assert at_s == pytest.approx(1.105)


def test_dropped_call_is_told_after_its_way_back():
    """A call that a box refuses is a miss of the queue, and news of it take their time."""
    shop = Scripted()
    crowd = [1.0 + 0.0001 * number for number in range(30)]
    fleet = run(shop, 0.1, 0.2, 0.3, *crowd)
    dropped = [(at_s, event) for at_s, event in shop.of(Answered) if not event.batch]
    totals = fleet.tally.totals()
    assert dropped
    assert set(totals["misses"]) == {"queue"}
    assert totals["on_time"] + totals["misses"]["queue"] == 33
    ends_s = [at_s for at_s, event in shop.of(Answered) if event.batch]
    assert any(abs(at_s - end_s) < 1e-9 for at_s, _ in dropped for end_s in ends_s)


def test_refused_calls_cost_nothing():
    """What no gateway sends is refused, and no box works for it."""
    fleet = run(Scripted(None), 1.0)
    totals = fleet.tally.totals()
    assert (totals["misses"], totals["cost"]) == ({"refused": 1}, 0.0)


def test_hedged_call_costs_twice_and_counts_once():
    """The first answer counts; the other run is paid all the same."""
    shop = Scripted(HUB, hedge=HERE)
    fleet = run(shop, 1.0)
    totals = fleet.tally.totals()
    assert (totals["on_time"], totals["hedges"], totals["cost"]) == (1, 1, 4.0)
    assert totals["variants"] == {"small@edge": 1}
    ((_, abandoned),) = shop.of(Abandoned)
    assert (abandoned.send.endpoint, abandoned.overdue) == (HUB, False)


def test_crash_fails_what_a_box_held():
    """The gateway hears of a lost box, and of its return."""
    shop = Scripted()
    fleet = run(shop, 1.0, 1.001, 5.0, crashes=(Crash(1.005, 0, 2.0),))
    assert fleet.tally.totals()["misses"] == {"lost": 2}
    assert [event.endpoint for _, event in shop.of(Disconnected)] == [HERE]
    assert len(shop.of(Failed)) == 2
    assert len([1 for _, event in shop.of(Connected) if event.endpoint == HERE]) == 2
    assert fleet.tally.totals()["on_time"] == 1


def test_waiting_calls_run_together():
    """A batch takes what waits; its calls share its time."""
    shop = Scripted()
    run(shop, 1.0, 1.001, 1.002, 1.003, max_batch=4)
    assert [event.batch for _, event in shop.of(Answered)] == [1, 3, 3, 3]


def test_fifo_runs_calls_that_are_late():
    """The other queue answers everything in order of arrival, however late."""
    shop = Scripted()
    run(shop, *(1.0 + 0.0001 * number for number in range(30)), queue="fifo")
    answers = shop.of(Answered)
    assert len(answers) == 30
    assert all(event.batch == 1 for _, event in answers)
    assert any(event.abandoned for _, event in answers)


def test_idle_paths_are_probed():
    """A path without calls is probed four times a second, with small and large probes in turn."""
    shop = Scripted()
    run(shop)
    probes = [event for _, event in shop.of(ProbeAnswered)]
    assert 35 <= len(probes) <= 40
    assert {probe.size_bytes for probe in probes} == {64, 32 * 1024}
    assert probes[0].took_s == pytest.approx(RTT_S)
