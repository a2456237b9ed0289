"""What a call's answer says of how it went: header lines, counts, and one record."""

import time
from functools import lru_cache
from typing import Final

from edgefn.errors import ErrorBody
from edgefn.gateway.call import PendingCall
from edgefn.gateway.function import Function
from edgefn.gateway.state import Gateway
from edgefn.gateway.statuses import status_of
from edgefn.routing.decisions import Send
from edgefn.routing.table import HERE
from edgefn_runtime.wire import Content, Reply

_SLA_LINES: Final = {
    "": "",
    **{sla: f"Edgefn-Sla: {sla}\r\n" for sla in ("met", "missed", "degraded")},
}
_TOO_LATE: Final = frozenset({408, 429, 504})  # statuses of calls that had no answer in time


def result_head(gateway: Gateway, function: Function, call: PendingCall, reply: Reply) -> bytes:
    """Counts a result, and returns the header lines of its answer.

    Args:
        gateway: That answers.
        function: That was called.
        call: Answered by `call.send`.
        reply: Its result.
    """
    now_s = time.monotonic()
    send, deadline_s = call.send, call.deadline_s
    assert send is not None
    elapsed_s = now_s - call.read_s
    function.count_result(elapsed_s, reply, send.variant, degraded=send.degraded)
    sla = ""
    if deadline_s is not None and now_s > deadline_s:
        sla = "missed"
        call.miss = _slowest(call, reply, elapsed_s)
        function.count_miss(call.miss)
    elif send.degraded:
        sla = "degraded"
    elif deadline_s is not None:
        sla = "met"
    gateway.decisions.note(call, now_s, 200, sla)
    more = f", cold;dur={call.waited_s * 1000:.3f}" if call.waited_s else ""
    if send.place != HERE:
        more += f", net;dur={_network_us(call, reply, elapsed_s) / 1000:.3f}"
    # The shortest spelling of microseconds in milliseconds has three decimals at most, and takes
    # half the time of one that always has three.
    head = (
        f"{_sent_lines(gateway, send)}{_SLA_LINES[sla]}Server-Timing: "
        f"queue;dur={reply.queue_us / 1000}, compute;dur={reply.service_us / 1000}{more}\r\n"
        f"{_content_lines(reply.content, reply.aux)}X-Request-Id: {call.request_id}\r\n"
    )
    return head.encode("ascii", "replace")


def error_lines(
    gateway: Gateway, function: Function, call: PendingCall | None, error: ErrorBody
) -> bytes:
    """Counts a call without a result, and returns header lines beyond those of every error.

    Args:
        gateway: That answers.
        function: That was called.
        call: None if not even its head could be read.
        error: That is answered.
    """
    status = status_of(error.code)
    function.count(status)
    if call is None:
        return b""
    if call.send is None:
        function.count_refused(error.code)
    sla = ""
    if call.deadline_s is not None and status in _TOO_LATE:
        sla = "missed"
        function.count_miss(call.miss)
    gateway.decisions.note(call, time.monotonic(), status, sla, error.code)
    lines = _sent_lines(gateway, call.send) if call.send is not None else ""
    return (lines + _SLA_LINES[sla]).encode("ascii", "replace")


def _sent_lines(gateway: Gateway, send: Send) -> str:
    where = gateway.tier_and_box if send.place == HERE else gateway.answered_at(send.place)
    predicted_ms = round(send.predicted_s * 1000, 3)
    return f"Edgefn-Variant: {send.variant}\r\n{where}Edgefn-Predicted-Ms: {predicted_ms}\r\n"


@lru_cache(maxsize=256)
def _content_lines(content: int, aux: int) -> str:
    if content == Content.MSGPACK:
        return "Content-Type: application/msgpack\r\n"
    if content == Content.V2 and aux:
        return (
            f"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: {aux}\r\n"
        )
    return "Content-Type: application/json\r\n"


def _slowest(call: PendingCall, reply: Reply, elapsed_s: float) -> str:
    assert call.send is not None
    legs = {
        "compute": float(reply.service_us),
        "queue": float(reply.queue_us),
        "cold": call.waited_s * 1e6,
    }
    if call.send.place != HERE:
        legs["network"] = _network_us(call, reply, elapsed_s)
    return max(legs, key=lambda leg: legs[leg])


def _network_us(call: PendingCall, reply: Reply, elapsed_s: float) -> float:
    """Returns what was neither the replica's nor spent before the call was sent."""
    assert call.send is not None
    before_s = call.send.sent_s - call.read_s
    return max(0.0, (elapsed_s - before_s) * 1e6 - reply.queue_us - reply.service_us)
