"""One run of a scenario, from its file to its result."""

import gc
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from edgefn.errors import ConfigError
from edgefn.routing.decisions import Rng
from edgefn.routing.router import Router
from edgefn.simulate.arrival import Arrival
from edgefn.simulate.baselines import POLICIES
from edgefn.simulate.engine.fleet import Fleet, QueueKind, Streams
from edgefn.simulate.engine.ports import PolicyFactory
from edgefn.simulate.engine.simulation import Progress, Simulation
from edgefn.simulate.faults import faults_of
from edgefn.simulate.network import network_of
from edgefn.simulate.result import RunResult
from edgefn.simulate.scenario import Scenario
from edgefn.simulate.workload import arrivals as arrivals_of

PRODUCTION: Final = "edgefn"  # the policy that is the production router
_COLLECT_EVERY: Final = 50_000  # objects


def simulate(
    scenario: Scenario,
    *,
    policy: str = PRODUCTION,
    queue: QueueKind = "edf",
    seed: int = 0,
    load: float = 1.0,
    arrivals: Iterator[Arrival] | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Runs a scenario once; equal arguments give equal results, but for the time it took.

    Args:
        scenario: What is simulated.
        policy: Who decides: `edgefn`, the production router, or the name of a baseline.
        queue: How replicas queue: `edf` (the production queue), or `fifo` and without drops.
        seed: Of all randomness. Under every policy calls, networks and faults are the same.
        load: The workload's rate is multiplied by it.
        arrivals: Calls instead of the scenario's own, in order of time.
        progress: Is told the virtual time now and then.

    Raises:
        ConfigError: There is no such policy, or a trace cannot be read.
    """
    factory = _factory(policy)
    started_s = time.perf_counter()
    faults = faults_of(scenario, seed=seed)
    fleet = Fleet(
        scenario,
        network_of(scenario, seed=seed),
        faults,
        queue=queue,
        uniform=_uniform(seed),
        normal=_normal(seed),
    )
    simulation = Simulation(fleet, factory, faults)
    calls = arrivals if arrivals is not None else arrivals_of(scenario, seed=seed, load=load)
    with _rare_collections():
        simulation.run(calls, progress or _silent)
    return _result(simulation, fleet, policy, seed, load, time.perf_counter() - started_s)


def _factory(policy: str) -> PolicyFactory:
    if policy in POLICIES:
        return POLICIES[policy]
    if policy == PRODUCTION:
        return lambda site, oracle: Router()
    names = ", ".join((PRODUCTION, *POLICIES))
    raise ConfigError(f"there is no policy {policy!r}; there are {names}")


def _result(
    simulation: Simulation, fleet: Fleet, policy: str, seed: int, load: float, took_s: float
) -> RunResult:
    scenario, tally = fleet.scenario, fleet.tally
    return RunResult(
        scenario=scenario.name,
        policy=policy,
        queue=fleet.queue,
        seed=seed,
        load=load,
        replica_s=simulation.replica_s(),
        utilisation=_utilisation(fleet),
        functions={one.name: tally.by_function(one.index) for one in fleet.functions},
        sites={one.name: tally.by_site(one.index) for one in fleet.sites if one.place.model.calls},
        events=fleet.agenda.events,
        took_s=took_s,
        **tally.totals(),
    )


def _utilisation(fleet: Fleet) -> dict[str, float]:
    busy_s: dict[str, float] = {}
    cores: dict[str, int] = {}
    for site in fleet.sites:
        for device in site.devices:
            busy_s[site.tier] = busy_s.get(site.tier, 0.0) + device.busy_s
            cores[site.tier] = cores.get(site.tier, 0) + device.box.model.cores
    counted_s = fleet.scenario.duration_s - fleet.scenario.warm_up_s
    return {
        tier: busy_s[tier] / (cores[tier] * counted_s) if counted_s > 0.0 else 0.0 for tier in cores
    }


def _uniform(seed: int) -> Streams:
    return lambda purpose, index: random.Random(f"{seed}/{purpose}/{index}").random


def _normal(seed: int) -> Streams:
    def normal(purpose: str, index: int) -> Rng:
        rng = random.Random(f"{seed}/{purpose}/{index}")
        return lambda: rng.gauss(0.0, 1.0)

    return normal


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Lets the collector of cycles look less often, and not at the fleet: few calls leave any."""
    usual = gc.get_threshold()
    gc.set_threshold(_COLLECT_EVERY, 20, 50)
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)


def _silent(_: float) -> None:
    """No one wants to know."""
