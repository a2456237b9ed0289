"""Boxes that cannot hold a replica of every function at once."""

import math

import msgspec

from edgefn.simulate.arrival import Arrival
from edgefn.simulate.run import simulate
from edgefn.simulate.scenario import BoxModel, FunctionModel, Scenario, SiteModel, VariantModel

MB = 1_000_000


def variant(memory_bytes: int, load_s: float) -> VariantModel:
    return VariantModel(
        name="v",
        tiers=("edge",),
        accuracy=0.9,
        fixed_s=0.0,
        each_s=0.01,
        cost=1.0,
        load_s=load_s,
        memory_bytes=memory_bytes,
    )


def function(name: str, *, memory_bytes: int, load_s: float = 0.3) -> FunctionModel:
    return FunctionModel(name=name, deadline_s=1.0, variants=(variant(memory_bytes, load_s),))


def yard(*functions: FunctionModel) -> Scenario:
    """Two boxes of 100 MB each."""
    boxes = (BoxModel(count=2, memory_bytes=100 * MB),)
    return Scenario(
        name="yard",
        duration_s=60.0,
        warm_up_s=0.0,
        scaling="scaler",
        functions=functions,
        sites=(SiteModel(name="yard", boxes=boxes),),
    )


def every(gap_s: float, number: int, start_s: float = 0.0) -> list[Arrival]:
    """Calls of one function of the only site."""
    count = math.ceil((60.0 - start_s) / gap_s)
    return [Arrival(start_s + gap_s * k, 0, number, 100, 0.0, 0.0) for k in range(count)]
