"""How many replicas take least energy."""

import pytest

from edgefn.scaling.demand import Demand
from edgefn.scaling.energy import IDLE, hold_s, thriftiest
from edgefn.scaling.envelope import Curve, Envelope


def curve_of(rate: float) -> Curve:
    """Returns that of twenty seconds with four calls of a tenth at once, so many times a second."""
    envelope, demand = Envelope(), Demand()
    for burst in range(round(20 * rate)):
        for call in range(4):
            demand.want(burst / rate + 0.001 * call, 0.1, 0.1)
    envelope.add(demand.take())
    return envelope.curve(20.0)


def test_a_replica_is_there_if_it_saves_more_than_it_takes() -> None:
    """For bursts that come every second; not for those that hardly ever come."""
    busy, rare = curve_of(1.0), curve_of(0.05)
    assert thriftiest(busy, most=2, current=0, boot_s=0.1) == 2
    assert thriftiest(rare, most=2, current=0, boot_s=0.1) == 1
    assert thriftiest(Curve(), most=0, current=1, boot_s=0.1) == 0


def test_a_start_has_its_price() -> None:
    """What is there already stays; what takes long to start is not started for little."""
    curve = curve_of(0.25)
    assert thriftiest(curve, most=2, current=2, boot_s=60.0) == 2
    assert thriftiest(curve, most=2, current=1, boot_s=60.0) == 1


def test_never_more_than_the_slo_asks_for() -> None:
    """However much late calls would cost."""
    assert thriftiest(curve_of(1.0), most=1, current=4, boot_s=0.1) == 1


def test_what_waits_is_held_until_it_has_taken_a_start() -> None:
    """The break-even of a rented thing."""
    assert hold_s(1.5) * IDLE == pytest.approx(1.5)
