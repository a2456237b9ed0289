"""What the scaler is told of a box."""

from collections.abc import Callable

from edgefn.box.functions import Function
from edgefn.box.loads import snapshot
from edgefn.box.memory import BoxMemory
from edgefn.box.revision import Revision
from edgefn.box.totals import Totals
from edgefn.gateway.control import PlaceReport, Report
from edgefn_runtime.manifest import Objective, Scale


def test_what_a_function_declares_is_passed_on(make_revision: Callable[..., Revision]) -> None:
    """Its bounds, how its calls share a replica, and whether energy counts."""

    def told(objective: Objective, batch: int) -> tuple[Scale, int, int, bool]:
        revision = make_revision(objective=objective, batch=batch, scale=Scale(min=2, max=3))
        totals = Totals()
        totals.expect(revision.function)
        seen = snapshot([Function(serving=revision)], [], totals, BoxMemory(), set())
        (function,) = seen.functions
        return function.scale, function.calls_per_replica, function.lanes, function.saves_energy

    assert told("latency", 1) == (Scale(min=2, max=3), 2, 1, False)
    assert told("energy", 4) == (Scale(min=2, max=3), 8, 1, True)


def test_what_peers_ask_for_counts_once_for_each_of_them(
    make_revision: Callable[..., Revision],
) -> None:
    """Although a peer tells every gateway that it is linked with; and no longer than it lasts."""
    totals, function = Totals(), Function(serving=make_revision())
    totals.expect("f")

    def reserved() -> int:
        return snapshot([function], [], totals, BoxMemory(), set()).functions[0].reserved

    def report(gateway: int, **asked: int) -> None:
        places = (
            PlaceReport(name, "edge", True, reserves={"f": count} if count else {})
            for name, count in asked.items()
        )
        totals.add(Report(gateway, (), 0, tuple(places)))

    assert reserved() == 0
    report(0, plant_1=2, plant_2=1)
    report(1, plant_1=2, plant_3=4)
    assert reserved() == 7
    report(1, plant_1=2, plant_3=0)
    assert reserved() == 3
    totals.forget_gateway(0)
    assert reserved() == 2
