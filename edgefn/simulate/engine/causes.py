"""Why a call was not answered in time.

The leg of its way that took the most beyond what had been predicted is the cause: `network`, `cold`
(the start of a replica), `queue` or `compute`. Where nothing took clearly longer than predicted,
the decision was hopeless from the start, and the longest leg is. `refused` are those that no
gateway sent anywhere, `lost` those that died with a box and were not sent again.
"""

from math import inf
from typing import Final

from edgefn.simulate.engine.call import Flight, Visit

REFUSED: Final = "refused"
LOST: Final = "lost"
COLD: Final = "cold"
CLEARLY_S: Final = 0.002
_LEGS: Final = ("network", COLD, "queue", "compute")
CAUSES: Final = (*_LEGS, REFUSED, LOST)


def cause_of(now_s: float, visit: Visit) -> str:
    """Returns why a call that was sent is not answered by now."""
    flight = visit.flights[0]
    send = flight.send
    network_s, queue_s, compute_s = _legs(now_s, flight)
    cold_s = visit.waited_s
    if flight.visited is not None:
        cold_s += flight.visited.waited_s
        queue_s -= flight.visited.waited_s
    legs_s = (network_s, cold_s, queue_s, compute_s)
    predicted_s = (send.network_s, send.cold_s, send.wait_s, send.service_s)
    excess_s = [took_s - said_s for took_s, said_s in zip(legs_s, predicted_s, strict=True)]
    largest = max(excess_s)
    if largest > CLEARLY_S:
        return _LEGS[excess_s.index(largest)]
    return _LEGS[legs_s.index(max(legs_s))]


def refusal_cause_of(now_s: float, visit: Visit) -> str:
    """Returns why all that a call was sent to refused it."""
    visited = visit.flights[0].visited
    if visited is not None and not visited.flights:
        return COLD if visited.waited_s else REFUSED
    return cause_of(now_s, visit)


def _legs(now_s: float, flight: Flight) -> tuple[float, float, float]:
    """Returns for how long it was on its way, queued and running until now."""
    total_s = now_s - flight.send.sent_s
    if flight.arrived_s == inf:
        return total_s, 0.0, 0.0
    at_s = flight.arrived_s
    inner = flight
    end_s = now_s
    if flight.visited is not None:
        end_s = min(now_s, flight.visited.left_s)
        if not flight.visited.flights:
            return total_s - (end_s - at_s), end_s - at_s, 0.0
        inner = flight.visited.flights[0]
    run = inner.run
    if run is None:
        end_s = min(end_s, inner.dropped_s)
        return total_s - (end_s - at_s), end_s - at_s, 0.0
    ended_s = min(now_s, run.started_s + run.service_s)
    compute_s = ended_s - run.started_s
    if flight.visited is None:
        end_s = ended_s
    return total_s - (end_s - at_s), end_s - at_s - compute_s, compute_s
