"""What the scaler is told of a box."""

from collections.abc import Callable

from edgefn.box.functions import Function
from edgefn.box.loads import snapshot
from edgefn.box.memory import BoxMemory
from edgefn.box.revision import Revision
from edgefn.box.totals import Totals
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
