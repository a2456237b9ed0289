"""What the head of a call asks for: read once for heads that are the same.

A caller that keeps its connection mostly sends the very same head again. Comparing it with the last
one costs a tenth of reading it.
"""

from collections.abc import Callable, Mapping

import msgspec
from aiohttp import web

from edgefn.gateway.body import announced_bytes
from edgefn.gateway.control import FunctionRoute
from edgefn.gateway.headers import (
    IDEMPOTENCY_KEY,
    REQUEST_ID,
    TRACESTATE,
    budget_s,
    choice_of,
    priority_of,
    source_of,
    traceparent_of,
)
from edgefn.gateway.request_id import fit_request_id
from edgefn.routing.choice import Choice
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec
from edgefn_runtime.wire import pack_confidence


class Encoding(msgspec.Struct, frozen=True, gc=False):
    """How a call's body and its answer are written (see `wire.Call`)."""

    content: int
    accept: int
    aux: int = 0
    media_type: str = ""


EncodingOf = Callable[[Mapping[str, str], FunctionSchema], Encoding]


class Asked(msgspec.Struct, frozen=True):
    """The head of a call, checked.

    Attributes:
        raw: Its headers as they came,
        route: what it was read for,
        encoding_of: and how.
        size_bytes: Length of the body that it announces.
        encoding: How the body and the answer are written.
        budget_s: How long the caller waits, or None.
        choice: What it asks of the variant, or None.
        priority: From 0 to 9.
        idempotent: Whether the call may run twice.
        escalate_at: See `PendingCall`.
        request_id: The caller's, if it is fit to be echoed; else empty.
        traceparent: Of the caller's trace, or empty.
        tracestate: What tracing systems added to it, as it came.
        source: Of what the call tells, where the function has alerts that want to know.
    """

    raw: tuple[tuple[bytes, bytes], ...]
    route: FunctionRoute
    encoding_of: EncodingOf
    size_bytes: int
    encoding: Encoding
    budget_s: float | None
    choice: Choice | None
    priority: int
    idempotent: bool
    escalate_at: int
    request_id: str
    traceparent: str
    tracestate: str
    source: str

    def answers(
        self, request: web.BaseRequest, route: FunctionRoute, encoding_of: EncodingOf
    ) -> bool:
        """Whether the head of a request says the same."""
        return (
            self.route is route
            and self.encoding_of is encoding_of
            and self.raw == request.raw_headers
        )


def read_asked(
    request: web.BaseRequest, route: FunctionRoute, encoding_of: EncodingOf, max_body_bytes: int
) -> Asked:
    """Returns what the head of a request asks for.

    Args:
        request: Its body is not touched.
        route: Of the function that is called.
        encoding_of: Reads the headers that the protocol has for it.
        max_body_bytes: Most that is accepted.

    Raises:
        EdgefnError: It asks for what cannot be.
    """
    headers, spec = request.headers, route.spec
    size_bytes = announced_bytes(request, max_body_bytes)
    encoding = encoding_of(headers, route.schema)
    choice = choice_of(headers)
    return Asked(
        raw=request.raw_headers,
        route=route,
        encoding_of=encoding_of,
        size_bytes=size_bytes,
        encoding=encoding,
        budget_s=budget_s(headers, spec.deadline_s),
        choice=choice,
        priority=priority_of(headers, spec.priority),
        idempotent=spec.idempotent or IDEMPOTENCY_KEY in headers,
        escalate_at=_escalate_at(spec, choice),
        request_id=fit_request_id(headers.get(REQUEST_ID)),
        traceparent=traceparent_of(headers),
        tracestate=headers.get(TRACESTATE, ""),
        source=source_of(headers) if spec.on_result else "",
    )


def _escalate_at(spec: FunctionSpec, choice: Choice | None) -> int:
    if spec.escalate_below is None or (choice is not None and choice.variant):
        return 0  # none is doubted, or no other variant may answer
    return pack_confidence(spec.escalate_below)
