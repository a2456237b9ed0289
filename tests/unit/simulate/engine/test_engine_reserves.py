"""Sites that ask the next tier for replicas."""

import msgspec

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

# Two sites of one core each, called for twice what they can do; no call can wait for the cloud.
FULL = Scenario(
    name="full",
    duration_s=20.0,
    warm_up_s=5.0,
    scaling="scaler",
    functions=(
        FunctionModel(
            name="eye",
            deadline_s=0.1,
            variants=(
                VariantModel(name="int8", each_s=0.02),
                VariantModel(name="fp32", tiers=("cloud",), each_s=0.02, load_s=3.0),
            ),
        ),
    ),
    sites=(
        SiteModel(name="shop", count=2, boxes=(BoxModel(),)),
        SiteModel(name="hub", tier="cloud", calls=0.0, count=2, boxes=(BoxModel(cores=4),)),
    ),
    links=(LinkModel(between=("edge", "cloud"), rtt_s=0.02),),
    workload=Workload(calls_per_s=100.0),
)


def test_a_full_site_has_the_next_tier_start_what_no_call_can_wait_for():
    """Nothing else would: the router sends no call to where it would be late."""
    result = simulate(FULL, seed=1)
    assert result.variants["fp32@cloud"] > 500
    assert result.attainment > 0.8


def test_a_tier_that_does_not_serve_a_function_starts_nothing_for_it():
    """Whatever it is short of below."""
    (function,) = FULL.functions
    alone = msgspec.structs.replace(function, variants=function.variants[:1])
    result = simulate(msgspec.structs.replace(FULL, functions=(alone,)), seed=1)
    assert result.replica_s == 2 * (FULL.duration_s - FULL.warm_up_s)
