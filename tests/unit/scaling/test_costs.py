"""How many replicas cost least."""

from edgefn.scaling.costs import PoolCosts
from edgefn.scaling.demand import Demand
from edgefn.scaling.envelope import Curve, Envelope
from edgefn.scaling.scaler import Scaler
from edgefn.scaling.snapshot import FunctionLoad, Snapshot, VariantLoad
from edgefn_runtime.manifest import Scale


def demand_of(rate: float, run_s: float = 0.1, slack_s: float = 0.2) -> Demand:
    """Returns ten seconds of evenly spaced calls."""
    demand = Demand()
    for call in range(round(10 * rate)):
        demand.want(call / rate, run_s, slack_s)
    return demand


def curve_of(rate: float) -> Curve:
    envelope = Envelope()
    envelope.add(demand_of(rate).take())
    return envelope.curve(10.0)


def test_replicas_are_started_as_long_as_they_save_more_than_they_cost() -> None:
    """If a late call costs much, all are answered; if it costs little, none is."""
    curve = curve_of(20.0)
    assert PoolCosts(late=1.0, replica_s=0.1).cheapest(curve, 0) == 3
    assert PoolCosts(late=0.001, replica_s=0.1).cheapest(curve, 0) == 0


def test_energy_counts_like_money() -> None:
    """A joule that is dear keeps replicas from being started for a few calls."""
    curve = curve_of(20.0)
    assert PoolCosts(late=1.0, joule=0.001, idle_w=2.0, busy_w=9.0).cheapest(curve, 0) == 3
    assert PoolCosts(late=1.0, joule=10.0, idle_w=2.0, busy_w=9.0).cheapest(curve, 0) == 0


def test_a_change_has_its_price() -> None:
    """What is there already stays rather than going for a little gain."""
    curve = curve_of(20.0)
    costs = PoolCosts(late=1.0, replica_s=0.01, switch=100.0)
    assert costs.per_s(curve, 3, current=3) < costs.per_s(curve, 3, current=4)


def test_a_pool_with_costs_is_scaled_by_them() -> None:
    """Calls that are not worth a replica do not start one."""
    load = VariantLoad(demand=(demand_of(20.0).take(),))
    function = FunctionLoad(name="f", scale=Scale(min=0, max=8, idle_s=60.0), variants=(load,))

    def step(costs: PoolCosts | None) -> int:
        snapshot = Snapshot(functions=(function,), costs=costs)
        return Scaler().step(10.0, snapshot).desired["f", ""]

    assert step(None) == 1
    assert step(PoolCosts(late=1.0, replica_s=0.1)) == 1
    assert step(PoolCosts(late=0.001, replica_s=0.1)) == 0
