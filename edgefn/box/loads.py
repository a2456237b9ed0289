"""What the scaler is told of the functions of a box."""

from collections.abc import Iterable

from edgefn.box.functions import Function
from edgefn.box.memory import BoxMemory
from edgefn.box.replica import Replica
from edgefn.box.totals import Totals
from edgefn.scaling.demand import DemandReport
from edgefn.scaling.snapshot import FunctionLoad, Snapshot, VariantLoad, full_at, lanes_of
from edgefn_runtime.variant import Variant


def snapshot(
    functions: Iterable[Function],
    replicas: Iterable[Replica],
    totals: Totals,
    memory: BoxMemory,
    woken: set[tuple[str, str]],
) -> Snapshot:
    """Returns all of it; the demand in it is taken, and not there the next time.

    Args:
        functions: Those that are deployed.
        replicas: All of the box.
        totals: What gateways reported.
        memory: What there is of it.
        woken: Functions and variants for which a call waits, reported or not.
    """
    live = list(replicas)
    reserved = totals.reserved()
    return Snapshot(
        functions=tuple(
            _function(one, live, totals, memory, woken, reserved=reserved[one.serving.function])
            for one in functions
            if not one.serving.elsewhere
        ),
        memory_bytes=memory.budget_bytes,
    )


def live_of(function: Function, variant: Variant, replicas: Iterable[Replica]) -> list[Replica]:
    """Returns the replicas of one variant that start or take calls."""
    return [
        replica
        for replica in replicas
        if replica.state in ("starting", "ready")
        and replica.variant.name == variant.name
        and function.serves(replica)
    ]


def scaled_as(function: Function, variant: Variant) -> str:
    """Returns the name under which the scaler knows a variant (`VariantLoad.name`)."""
    return "" if variant.name == function.serving.default.name else variant.name


def _function(
    function: Function,
    replicas: list[Replica],
    totals: Totals,
    memory: BoxMemory,
    woken: set[tuple[str, str]],
    *,
    reserved: int,
) -> FunctionLoad:
    name, spec = function.serving.function, function.serving.spec
    demand = totals.take_demand(name)
    return FunctionLoad(
        name=name,
        scale=spec.scale,
        lanes=lanes_of(spec),
        calls_per_replica=full_at(spec),
        environment=function.serving.environment,
        saves_energy=spec.objective == "energy",
        reserved=reserved,
        variants=tuple(
            _variant(
                function,
                variant,
                live_of(function, variant, replicas),
                totals,
                memory,
                woken=(name, variant.name) in woken,
                demand=tuple(demand.get(variant.name, ())),
            )
            for variant in function.startable()
        ),
    )


def _variant(
    function: Function,
    variant: Variant,
    live: list[Replica],
    totals: Totals,
    memory: BoxMemory,
    *,
    woken: bool,
    demand: tuple[DemandReport, ...],
) -> VariantLoad:
    name = function.serving.function
    counts = totals.functions[name]
    scaled = scaled_as(function, variant)
    answered = counts.variants[variant.name]
    if not scaled:  # and what was refused, which asked for no other one
        answered = counts.calls - counts.variants.total() + answered
    return VariantLoad(
        name=scaled,
        replicas=len(live),
        ready=sum(replica.state == "ready" for replica in live),
        ongoing=sum(totals.at_replica(name, replica.id) for replica in live),
        waiting=max(totals.waiting_for(name, variant.name), int(woken)),
        calls=answered,
        demand=demand,
        boot_s=function.load_s[variant.name],
        memory_bytes=memory.of(name, variant),
    )
