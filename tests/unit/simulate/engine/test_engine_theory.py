"""The simulated box against queueing theory: mean waits within 1 % for M/M/1, M/D/1 and M/M/k.

A mean wait converges slowly, so a control variate takes the noise out: on the same arrivals and
service times, the recursions of Lindley (one server) and of Kiefer and Wolfowitz (several) give the
wait of each call. A run of the device may differ from them by rounding only; and they, who need no
simulator, are run for so long that their mean must be that of theory.
"""

import heapq
import math

import numpy
import pytest

from edgefn.routing.decisions import Send
from edgefn.simulate.engine.agenda import Agenda
from edgefn.simulate.engine.call import Flight, Visit
from edgefn.simulate.engine.device import Device
from edgefn.simulate.engine.function import Function
from edgefn.simulate.engine.replica import Refusal, Replica, Run
from edgefn.simulate.engine.tally import Tally
from edgefn.simulate.engine.target import target
from edgefn.simulate.fleet import sites_of
from edgefn.simulate.scenario import (
    BoxModel,
    FunctionModel,
    Scenario,
    SiteModel,
    VariantModel,
    Workload,
)
from edgefn_runtime.queue import CallQueue

SIMULATED = 10_000
LONG = 2_000_000


class Waits:
    """A gateway that only takes down how long calls waited."""

    def __init__(self):
        self.waits_s = []

    def answered(self, now_s, run: Run):
        for waiting in run.calls:
            self.waits_s.append((waiting.item.arrived_s, run.started_s - waiting.arrived_s))

    def refused(self, now_s, refusal: Refusal):
        raise AssertionError("no call has a deadline")

    def lost(self, now_s, flight: Flight):
        raise AssertionError("no box dies")


def simulated_waits(gaps_s, services_s, cores):
    """Returns the wait of each call at one simulated box with the production queue."""
    model = VariantModel(name="only", each_s=1.0)
    scenario = Scenario(
        name="theory",
        duration_s=60.0,
        functions=(FunctionModel(name="f", variants=(model,)),),
        sites=(SiteModel(name="site", boxes=(BoxModel(cores=cores),)),),
        workload=Workload(calls_per_s=1.0),
    )
    agenda, gateway = Agenda(), Waits()
    box = sites_of(scenario)[0].boxes[0]
    device = Device(box, agenda, Tally(scenario, 1), gateway=gateway)
    queue = CallQueue(limit=SIMULATED)
    replica = Replica("f/only@box", device, "f", model, queue, cores)
    replica.noise = lambda luck: luck
    replica.up = True
    device.replicas.append(replica)
    there = target(1, "f", model, "edge", replica=replica)
    function = Function(0, scenario.functions[0])
    now_s = 0.0
    for gap_s, service_s in zip(gaps_s.tolist(), services_s.tolist(), strict=True):
        now_s += gap_s
        agenda.run_until(now_s)
        visit = Visit(function, None, 1, now_s, service_s, 0.0, None)
        there.coming += 1
        device.arrive(now_s, Flight(visit, Send(), there, service_s))
    agenda.run_until(math.inf)
    return numpy.array([wait_s for _, wait_s in sorted(gateway.waits_s)])


def recursive_waits(gaps_s, services_s, servers):
    """Returns the wait of each call by the recursions of Lindley, and of Kiefer and Wolfowitz."""
    if servers == 1:
        steps_s = services_s[:-1] - gaps_s[1:]
        walk_s = numpy.concatenate(([0.0], numpy.cumsum(steps_s)))
        return walk_s - numpy.minimum.accumulate(walk_s)
    free_s = [0.0] * servers
    waits_s, now_s = [], 0.0
    for gap_s, service_s in zip(gaps_s.tolist(), services_s.tolist(), strict=True):
        now_s += gap_s
        start_s = max(now_s, free_s[0])
        waits_s.append(start_s - now_s)
        heapq.heapreplace(free_s, start_s + service_s)
    return numpy.array(waits_s)


def erlang_c_wait_s(servers, offered):
    """Returns the mean wait of M/M/k with services of mean 1."""
    term = offered**servers / math.factorial(servers) * servers / (servers - offered)
    below = sum(offered**k / math.factorial(k) for k in range(servers))
    return term / (below + term) / (servers - offered)


@pytest.mark.parametrize(
    ("name", "servers", "offered", "expected_s", "length"),
    [
        ("M/M/1", 1, 0.5, 1.0, LONG),
        ("M/M/1, busy", 1, 0.7, 0.7 / 0.3, LONG),
        ("M/D/1", 1, 0.7, 0.7 / (2 * 0.3), LONG),
        ("M/M/4", 4, 2.4, erlang_c_wait_s(4, 2.4), LONG // 2),
    ],
)
def test_mean_wait_is_that_of_theory(name, servers, offered, expected_s, length):
    """Waits at a simulated box follow the formulas of queueing theory within 1 %."""
    rng = numpy.random.default_rng(0)
    gaps_s, services_s = rng.exponential(1.0, length), numpy.ones(length)
    if "D" not in name:
        services_s = rng.exponential(1.0, length)
    # Waits depend steeply on the load, so it is made exactly what theory is told.
    gaps_s /= gaps_s.mean() * offered
    services_s /= services_s.mean()
    waits_s = recursive_waits(gaps_s, services_s, servers)
    got_s = simulated_waits(gaps_s[:SIMULATED], services_s[:SIMULATED], servers)
    numpy.testing.assert_allclose(got_s, waits_s[:SIMULATED], atol=1e-6)
    estimate_s = got_s.mean() - waits_s[:SIMULATED].mean() + waits_s.mean()
    assert estimate_s == pytest.approx(expected_s, rel=0.01)
