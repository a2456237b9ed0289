"""What counts among the endpoints that may answer in time, by a function's objective.

The score of an endpoint is the expected worth of its answer, `P(in time) * worth`, less what is
paid for it whether it comes in time or not. Costs are relative to the dearest variant of the
function, because only the operator knows their unit.
"""

from typing import Final, NamedTuple

from edgefn.routing.table import DeployedVariant
from edgefn_runtime.manifest import Objective

TIER_HANDICAP: Final = 0.01  # for each tier that the function prefers
PEER_HANDICAP: Final = 0.01  # of another site of the same tier: what it has to do is known too late
AWAY_HANDICAP: Final = (
    0.0005  # a server that is not home to the variant batches it with fewer calls
)
PATIENT_TIER_HANDICAP: Final = 1.0  # likewise, without a deadline: then the network is no matter
COLD_HANDICAP: Final = 0.3
SECOND_CHOICE_HANDICAP: Final = 0.02  # of variants other than the default, without a deadline
POWER_W: Final = 5.0  # of a box at work, where no energy was measured
# What a box works for any call, whatever answers it. A variant of 8 us is no fourth of the cost of
# one of 30 us, and no reason to send a call to another tier.
CALL_S: Final = 0.0005


class Weights(NamedTuple):
    """Of one objective.

    Attributes:
        in_time: Worth of an answer in time, whatever it is,
        accuracy: and for its accuracy.
        cost: Of the dearest variant.
        energy: Of the variant that takes most of it.
        patience_s: Without a deadline: a wait so long takes away as much as a worth of 1.
    """

    in_time: float
    accuracy: float
    cost: float
    energy: float
    patience_s: float


WEIGHTS: Final[dict[Objective, Weights]] = {
    "latency": Weights(0.9, 0.1, 0.12, 0.0, 0.1),
    "balanced": Weights(0.7, 0.3, 0.03, 0.0, 1.0),
    "accuracy": Weights(0.0, 1.0, 0.003, 0.0, 10.0),
    "energy": Weights(0.9, 0.1, 0.0, 0.3, 1.0),
}


class Worth(NamedTuple):
    """What a variant's answer is worth in time, and what it costs in any case."""

    worth: float
    cost: float


def worths(objective: Objective, variants: tuple[DeployedVariant, ...]) -> dict[str, Worth]:
    """Returns the worth of each variant of one function; one that was not measured is taken for
    the worst that was."""
    weights = WEIGHTS[objective]
    measured = [one.accuracy for one in variants if one.accuracy is not None]
    unknown = min(measured, default=1.0)
    dearest = max((_cost(one) for one in variants), default=0.0) or 1.0
    hungriest = max((_energy_j(one) for one in variants), default=0.0) or 1.0
    return {
        one.name: Worth(
            weights.in_time
            + weights.accuracy * (unknown if one.accuracy is None else max(one.accuracy, 0.0)),
            weights.cost * _cost(one) / dearest + weights.energy * _energy_j(one) / hungriest,
        )
        for one in variants
    }


def _cost(variant: DeployedVariant) -> float:
    return variant.cost or _work_s(variant)


def _energy_j(variant: DeployedVariant) -> float:
    return variant.energy_j or _work_s(variant) * POWER_W


def _work_s(variant: DeployedVariant) -> float:
    return CALL_S + variant.fixed_s + variant.each_s
