"""What is learned from what becomes of a call."""

from collections.abc import Mapping
from math import inf
from typing import Final

from edgefn.routing.admission import Admission
from edgefn.routing.endpoint import Endpoint
from edgefn.routing.events import Abandoned, Answered, Failed
from edgefn.routing.server import FRESH_SAMPLES

QUEUED_S: Final = 0.001  # less than that says nothing of who overtakes whom


def answered(
    now_s: float, event: Answered, endpoints: Mapping[str, Endpoint], admission: Admission
) -> None:
    """Takes an answer: all legs of its way at once."""
    send = event.send
    one = send.ledger
    late = one is None
    if late:
        one = endpoints.get(send.endpoint) if event.abandoned else None
    if not isinstance(one, Endpoint):
        return
    if not late:
        one.resolve(send)
    if one.gone:
        return
    queue_s, service_s, batch = event.queue_s, event.service_s, event.batch
    total_s = now_s - send.sent_s
    net_s = total_s - queue_s - service_s - one.prefix_s
    path, server = one.path, one.server
    path.learn(now_s, net_s, send.size_bytes)
    if not one.here:
        path.heard(now_s)
    if batch:
        service = one.service
        expected_s = service.fixed_s + service.each_s * batch
        known = server.samples >= FRESH_SAMPLES
        service.learn(service_s / server.slowness if known else service_s, batch)
        server.ran(now_s, service_s / expected_s if expected_s > 0.0 else 1.0, batch)
    server.reported(now_s, event.backlog_s, net_s if net_s > 0.0 else 0.0, here=one.here)
    one.used_s = now_s
    if one.health.failures:
        one.health.answered()
    if not late:
        calibration = one.calibration
        calibration.learn(now_s, total_s > send.bound_s or not batch)
        if send.queued_s > QUEUED_S:
            calibration.waited(queue_s, send.queued_s)
        admission.answered(send, queue_s, in_time=batch > 0 and now_s <= send.deadline_s)


def abandoned(now_s: float, event: Abandoned, admission: Admission) -> None:
    """Takes that no one waits any more for a call."""
    send = event.send
    one = send.ledger
    if not isinstance(one, Endpoint):
        return
    one.resolve(send)
    one.path.looked_s = -inf
    if one.gone:
        return
    one.server.given_up(now_s, send, now_s - send.sent_s if event.overdue else 0.0)
    if event.overdue:
        admission.answered(send, 0.0, in_time=False)
        one.calibration.learn(now_s, True)
        if not one.here:
            one.path.lost(send)


def failed(now_s: float, event: Failed) -> Endpoint | None:
    """Takes that a call is lost; returns its endpoint if that should be left alone for a while."""
    send = event.send
    one = send.ledger
    if not isinstance(one, Endpoint):
        return None
    one.resolve(send)
    one.path.looked_s = -inf
    if one.gone:
        return None
    one.server.given_up(now_s, send, 0.0)
    leave = one.health.failed()
    one.settle()
    return one if leave else None
