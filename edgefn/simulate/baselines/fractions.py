"""Which share of each function's calls goes to which variant and place, within the capacity.

The linear program behind it: the most accuracy such that all calls are served and no pool works
more than it can. It is not solved but filled. First every function takes what needs the least of
its pool's capacity; then, step by step, the calls are upgraded that gain the most accuracy per
capacity, until nothing is left. Where pools are scarce at the same time, the result can fall short
of the optimum: an upgrade is never undone for the sake of another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Shares = dict[tuple[str, str], float]  # by variant and place; they sum to 1
_LEAST: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A variant at a place.

    Attributes:
        group: Both.
        pool: Whose capacity it needs.
        work_s: Of one call.
        accuracy: Of its answers.
    """

    group: tuple[str, str]
    pool: str
    work_s: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class _Upgrade:
    function: str
    worse: Choice
    better: Choice
    gain: float


def plan(
    rates: Mapping[str, float],
    choices: Mapping[str, Sequence[Choice]],
    capacities: Mapping[str, float],
) -> dict[str, Shares]:
    """Returns the shares of each function that has a choice.

    Args:
        rates: Calls a second, by function.
        choices: That could answer in time, by function.
        capacities: Seconds of work that can be done in a second, by pool.
    """
    left = dict(capacities)
    shares: dict[str, Shares] = {}
    for function, rate in rates.items():
        if choices[function]:
            shares[function] = _base(max(rate, _LEAST), choices[function], left, capacities)
    for upgrade in _upgrades(choices, capacities):
        _apply(upgrade, shares, max(rates[upgrade.function], _LEAST), left)
    return shares


def _base(
    rate: float, choices: Sequence[Choice], left: dict[str, float], capacities: Mapping[str, float]
) -> Shares:
    """Takes what needs the least, then the next; what nothing has room for goes to the first."""
    order = sorted(choices, key=lambda one: _need(one, capacities))
    shares: Shares = {}
    remaining = 1.0
    for choice in order:
        work = rate * choice.work_s
        room = left[choice.pool] / work if work else 1.0
        taken = min(remaining, max(room, 0.0))
        if taken:
            shares[choice.group] = taken
            left[choice.pool] -= taken * work
            remaining -= taken
        if remaining <= _LEAST:
            return shares
    shares[order[0].group] = shares.get(order[0].group, 0.0) + remaining
    return shares


def _need(choice: Choice, capacities: Mapping[str, float]) -> float:
    return choice.work_s / max(capacities[choice.pool], _LEAST)


def _upgrades(
    choices: Mapping[str, Sequence[Choice]], capacities: Mapping[str, float]
) -> list[_Upgrade]:
    """Returns all of them, the largest gain per capacity first."""
    found = [
        _Upgrade(function, worse, better, _gain(worse, better, capacities))
        for function, some in choices.items()
        for worse in some
        for better in some
        if better.accuracy > worse.accuracy
    ]
    return sorted(found, key=lambda one: one.gain, reverse=True)


def _gain(worse: Choice, better: Choice, capacities: Mapping[str, float]) -> float:
    freed = _need(worse, capacities) if worse.pool == better.pool else 0.0
    return (better.accuracy - worse.accuracy) / max(_need(better, capacities) - freed, _LEAST)


def _apply(
    upgrade: _Upgrade, shares: dict[str, Shares], rate: float, left: dict[str, float]
) -> None:
    mine = shares.get(upgrade.function, {})
    worse, better = upgrade.worse, upgrade.better
    has = mine.get(worse.group, 0.0)
    freed_s = worse.work_s if worse.pool == better.pool else 0.0
    needed = rate * (better.work_s - freed_s)
    moved = has if needed <= 0.0 else min(has, max(left[better.pool], 0.0) / needed)
    if moved <= _LEAST:
        return
    mine[worse.group] = has - moved
    mine[better.group] = mine.get(better.group, 0.0) + moved
    left[worse.pool] += moved * rate * worse.work_s
    left[better.pool] -= moved * rate * better.work_s
