"""What the scaler is told, and what it answers: one interface to any launcher of replicas."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from edgefn.scaling.demand import DemandReport
from edgefn_runtime.manifest import ASYNC_RUNS, FunctionSpec, Scale

BATCHES: Final = 2  # one that runs and one that forms
SLO: Final = 0.995  # share of the calls; 99 % is promised, and starts take their part of the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantLoad:
    """One variant of a function, and what came in for it since the last step.

    Attributes:
        name: Empty for the default one: whichever it is, a new revision goes on at its level.
        replicas: Starting or ready.
        ready: Of these, those that take calls.
        ongoing: Calls that are at a replica.
        waiting: Calls that wait for a first replica.
        calls: Calls answered so far, ever growing.
        demand: Taken since the last step, one report for each that records it.
        boot_s: How long a replica takes to start, as measured; 0 if not known.
        memory_bytes: That another replica would have for itself; 0 if not known.
    """

    name: str = ""
    replicas: int = 0
    ready: int = 0
    ongoing: int = 0
    waiting: int = 0
    calls: int = 0
    demand: tuple[DemandReport, ...] = ()
    boot_s: float = 0.0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionLoad:
    """One function.

    Attributes:
        name: Unique.
        scale: The bounds that were declared for all its variants together, and `idle_s`.
        variants: Those that may have replicas, the default one first; at least that.
        lanes: Runs that go on in one replica at the same time.
        calls_per_replica: Calls under way that one replica is meant to have as long as nobody
            knows how long a call runs (`full_at`).
        environment: What its replicas are forked from.
        saves_energy: Whether it has fewer replicas than its SLO asks for where that saves energy
            (`energy`): it was declared with that objective.
        reserved: Replicas of the default variant that lower tiers ask to be ready (`Plan.reserve`).
            Calls that they have sent already are in the demand, too: the higher one counts.
    """

    name: str
    scale: Scale
    variants: tuple[VariantLoad, ...]
    lanes: int = 1
    calls_per_replica: int = BATCHES
    environment: str = ""
    saves_energy: bool = False
    reserved: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that one pool of replicas is asked for.

    Attributes:
        functions: Those that are deployed; what was remembered of others is forgotten.
        memory_bytes: That replicas may have together; 0: no limit.
    """

    functions: tuple[FunctionLoad, ...]
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What there should be.

    Attributes:
        desired: Replicas, starting ones included, by function and variant (`VariantLoad.name`).
        environments: Those whose forkserver is to be up, so that a replica starts within its
            `boot_s`; others are cold.
        reserve: By function, how many replicas the next tier should have ready for the work that
            the bounds or the memory allow none for here.
    """

    desired: Mapping[tuple[str, str], int]
    environments: frozenset[str] = frozenset()
    reserve: Mapping[str, int] = field(default_factory=dict)


def full_at(spec: FunctionSpec) -> int:
    """Returns how many calls may be under way at one replica before another one would help."""
    return ASYNC_RUNS * spec.batch if spec.is_async else BATCHES * spec.batch


def lanes_of(spec: FunctionSpec) -> int:
    """Returns how many runs go on in one replica at the same time."""
    return ASYNC_RUNS if spec.is_async else 1
