import os
import subprocess
import sys

import msgspec
import pytest

from edgefn.errors import ConfigError
from edgefn.simulate.arrival import Arrival
from edgefn.simulate.baselines import POLICIES
from edgefn.simulate.run import simulate
from edgefn.simulate.scenario import (
    BoxModel,
    FunctionModel,
    LinkModel,
    Scenario,
    SiteModel,
    VariantModel,
    Workload,
)

FAST = VariantModel(
    name="int8", tiers=("edge",), accuracy=0.7, fixed_s=0.002, each_s=0.008, cv=0.1, cost=1.0
)
GOOD = VariantModel(
    name="fp32", tiers=("cloud",), accuracy=0.8, fixed_s=0.004, each_s=0.002, cv=0.1, cost=5.0
)
SMALL = Scenario(
    name="small",
    duration_s=3.0,
    warm_up_s=0.5,
    functions=(
        FunctionModel(name="eye", deadline_s=0.08, min_accuracy=0.6, variants=(FAST, GOOD)),
        FunctionModel(name="ear", deadline_s=0.2, min_accuracy=0.6, variants=(FAST, GOOD)),
    ),
    sites=(
        SiteModel(name="shop", count=2, boxes=(BoxModel(count=2),)),
        SiteModel(name="hub", tier="cloud", calls=0.0, boxes=(BoxModel(max_batch=8),)),
    ),
    links=(LinkModel(between=("edge", "cloud"), rtt_s=0.03, cv=0.2, bad_for_s=0.5, bad_every_s=2),),
    workload=Workload(calls_per_s=120.0, cv=2.0),
)
CRASHING = msgspec.structs.replace(
    SMALL,
    sites=(
        msgspec.structs.replace(
            SMALL.sites[0], boxes=(BoxModel(count=2, crashes_every_s=0.5, down_for_s=0.3),)
        ),
        SMALL.sites[1],
    ),
)


def comparable(result):
    return msgspec.structs.replace(result, took_s=0.0)


def resolved(result):
    return result.on_time + sum(result.misses.values())


def test_equal_arguments_give_equal_results():
    """A run can be repeated to the byte."""
    first, second = simulate(SMALL, seed=3), simulate(SMALL, seed=3)
    assert first.calls > 200
    assert comparable(first) == comparable(second)


def test_another_seed_gives_another_run():
    """The seed decides about calls and luck."""
    assert simulate(SMALL, seed=1).decisions != simulate(SMALL, seed=2).decisions


def test_another_process_decides_the_same():
    """Nothing depends on the order of a process's sets and dictionaries."""
    code = (
        "import sys, msgspec; from edgefn.simulate.run import simulate;"
        "from edgefn.simulate.scenario import Scenario;"
        "small = msgspec.json.decode(sys.stdin.buffer.read(), type=Scenario);"
        "print(simulate(small, seed=3).decisions)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=msgspec.json.encode(SMALL),
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.decode().strip() == simulate(SMALL, seed=3).decisions


@pytest.mark.parametrize("queue", ["edf", "fifo"])
@pytest.mark.parametrize("policy", ["edgefn", *POLICIES])
def test_every_call_is_resolved_once_although_boxes_crash(policy, queue):
    """Whatever decides and queues, each call is answered in time or is one miss with a cause."""
    result = simulate(CRASHING, policy=policy, queue=queue, seed=5)
    assert result.calls == sum(second.calls for second in result.seconds)
    assert resolved(result) == result.calls
    assert sum(calls for calls, _ in result.functions.values()) == result.calls
    assert sum(calls for calls, _ in result.sites.values()) == result.calls
    assert sum(result.variants.values()) == result.on_time
    assert result.floor_violations == 0


def test_policies_meet_the_same_calls():
    """Calls do not depend on who decides."""
    one, other = (simulate(SMALL, policy=name, seed=4) for name in ("edgefn", "round_robin"))
    assert [second.calls for second in one.seconds] == [second.calls for second in other.seconds]


def test_a_crash_loses_calls_without_a_second_chance():
    """Calls that a box held are lost where nobody sends them again."""
    assert simulate(CRASHING, policy="round_robin", seed=5).misses["lost"] > 0


def test_scaler_keeps_fewer_replicas_than_all_and_answers():
    """Replicas come with the load and cost what they are kept for."""
    scaled = simulate(msgspec.structs.replace(SMALL, scaling="scaler"), seed=3)
    fixed = simulate(SMALL, seed=3)
    assert resolved(scaled) == scaled.calls
    assert 0.0 < scaled.replica_s < fixed.replica_s
    assert scaled.attainment > 0.5


def test_scaler_survives_crashes():
    """The production scaler replaces what a box took with it."""
    result = simulate(msgspec.structs.replace(CRASHING, scaling="scaler"), seed=3)
    assert resolved(result) == result.calls
    assert result.on_time > 0


def test_idle_network_of_one_call_takes_what_the_scenario_says():
    """A lone call takes its way, its run and its way back, and nothing else."""
    lone = msgspec.structs.replace(
        SMALL,
        warm_up_s=0.0,
        sites=(SMALL.sites[0],),
        links=(),
        functions=(
            FunctionModel(
                name="eye", deadline_s=1.0, variants=(VariantModel(name="only", each_s=0.05),)
            ),
        ),
    )
    calls = iter([Arrival(1.0, 0, 0, 1000, 0.0, 0.0)])
    result = simulate(lone, policy="round_robin", arrivals=calls)
    assert (result.calls, result.on_time) == (1, 1)
    assert result.latencies_s["p50"] == pytest.approx(0.052, rel=0.01)


def test_overload_without_drops_answers_late():
    """With its own queue a baseline works on calls that are late already."""
    dropping = simulate(SMALL, policy="round_robin", queue="edf", load=3.0, seed=1)
    faithful = simulate(SMALL, policy="round_robin", queue="fifo", load=3.0, seed=1)
    assert faithful.on_time < dropping.on_time
    assert faithful.misses["queue"] > faithful.calls / 3


def test_unknown_policy_is_named():
    """A policy that does not exist is an error which names those that do."""
    with pytest.raises(ConfigError, match=r"'best'.*round_robin"):
        simulate(SMALL, policy="best")
