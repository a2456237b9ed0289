"""What becomes of a batch of calls: decode, run the function, encode; each fault stays its own.

The steps are a generator that yields the arguments of one run and is sent how that run ended, so
that a plain and a coroutine function share them and they can be tested without either.

A batch whose run raised is run again call by call, because one call's input must not fail its
neighbours. So a batched function must be one that may be run again on the same input.
"""

import contextlib
from collections.abc import Callable, Generator
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import numpy as np

from edgefn_runtime.alert_marks import Marker
from edgefn_runtime.errors import ErrorBody, FunctionFailed, InvalidInput, TimedOut
from edgefn_runtime.servable import CONFIDENCE_FIELDS, Signature
from edgefn_runtime.tracebacks import describe, text_of
from edgefn_runtime.wire import (
    MAX_BODY_BYTES,
    NO_CONFIDENCE,
    Call,
    CallHead,
    Content,
    Outcome,
    pack_confidence,
)

MAX_ERROR_BYTES: Final = 64 * 1024
_LISTS: Final = (list, tuple, np.ndarray)


class Ended(NamedTuple):
    """How one run of the user's function ended: with a value, or an exception."""

    value: Any
    error: BaseException | None = None


class Answer(NamedTuple):
    """What a reply carries, before the load report is added."""

    outcome: int
    content: int
    aux: int
    body: bytes
    confidence: int = NO_CONFIDENCE
    marks: bytes = b""


class Codec(Protocol):
    """Bodies to payloads and back."""

    def decode(self, call: Call, signature: Signature) -> dict[str, Any]:
        """Returns the payload of a call; raises InvalidInput."""

    def encode(self, payload: Any, call: Call, signature: Signature) -> tuple[int, int, bytes]:
        """Returns content, aux and body of an answer; raises FunctionFailed."""


Steps = Generator[dict[str, Any], Ended, list[Answer]]
Report = Callable[[str, BaseException], None]


class _WrongResults(FunctionFailed):
    """A batched function did not return one result a call."""


class Execution:
    """How the calls of one function are answered.

    Args:
        signature: Of the function.
        codec: Bodies to payloads and back.
        batched: Whether the function takes and returns lists.
        report: Is told of every failure of the function, with the request's id, for the log.
        confident: Whether replies carry how sure the function is of its answers.
        marker: Sees in answers what the function's alerts look for; None if it has none.
    """

    def __init__(
        self,
        signature: Signature,
        codec: Codec,
        *,
        batched: bool,
        report: Report,
        confident: bool = False,
        marker: Marker | None = None,
    ) -> None:
        self._signature = signature
        self._codec = codec
        self._batched = batched
        self._report = report
        self._confident = confident
        self._marker = marker

    def steps(self, calls: list[Call]) -> Steps:
        """Yields the arguments of each run to make; returns one answer a call, in order."""
        if len(calls) == 1:
            return [(yield from self._alone(calls[0]))]
        answers: dict[int, Answer] = {}
        if self._batched:
            yield from self._together(calls, answers)
        for index, call in enumerate(calls):
            if index not in answers:
                answers[index] = yield from self._alone(call)
        return [answers[index] for index in range(len(calls))]

    def _together(
        self, calls: list[Call], answers: dict[int, Answer]
    ) -> Generator[dict[str, Any], Ended, None]:
        """Answers the calls by one run; leaves those out that are to be run alone."""
        rows: dict[int, dict[str, Any]] = {}
        for index, call in enumerate(calls):
            try:
                rows[index] = self._bind(call)
            except Exception as error:
                answers[index] = self._failed(call, error)
        if len(rows) < 2:
            return
        ended = _results((yield _columns(list(rows.values()))), len(rows))
        if ended.error is not None and not isinstance(ended.error, _WrongResults | TimedOut):
            return
        for place, index in enumerate(rows):
            one = ended if ended.error is not None else Ended(ended.value[place])
            answers[index] = self._finish(calls[index], one)

    def _alone(self, call: Call) -> Generator[dict[str, Any], Ended, Answer]:
        try:
            arguments = self._bind(call)
        except Exception as error:
            return self._failed(call, error)
        if not self._batched:
            return self._finish(call, (yield arguments))
        ended = _results((yield _columns([arguments])), 1)
        return self._finish(call, ended if ended.error is not None else Ended(ended.value[0]))

    def _bind(self, call: Call) -> dict[str, Any]:
        return self._signature.bind(self._codec.decode(call, self._signature))

    def _finish(self, call: Call, ended: Ended) -> Answer:
        if ended.error is not None:
            return self._failed(call, ended.error)
        try:
            payload = self._signature.dump(ended.value)
            content, aux, body = self._codec.encode(payload, call, self._signature)
            if len(body) > MAX_BODY_BYTES:
                raise FunctionFailed(
                    f"the answer has {len(body)} bytes; at most {MAX_BODY_BYTES} may be"
                )
        except Exception as error:
            return self._failed(call, error)
        confidence = confidence_of(payload) if self._confident else NO_CONFIDENCE
        marks = b"" if self._marker is None else self._marker.marks(payload)
        return Answer(Outcome.RESULT, content, aux, body, confidence, marks)

    def _failed(self, call: Call, error: BaseException) -> Answer:
        if not isinstance(error, InvalidInput):
            with contextlib.suppress(Exception):  # no log must not mean no answer
                self._report(request_id(call), error)
        return error_answer(body_of(error))


def request_id(call: Call) -> str:
    """Returns the id under which the caller's side logs the call, or the frame's own."""
    if call.head:
        try:
            head = msgspec.msgpack.decode(call.head, type=CallHead)
        except msgspec.MsgspecError:
            return f"#{call.id}"
        if head.request_id:
            return head.request_id
    return f"#{call.id}"


def confidence_of(payload: Any) -> int:
    """Returns how sure an answer says that it is, as replies carry it."""
    if isinstance(payload, dict):
        for name in CONFIDENCE_FIELDS:
            value = payload.get(name)
            if isinstance(value, float | int):
                return pack_confidence(float(value))
    return NO_CONFIDENCE


def body_of(error: BaseException) -> ErrorBody:
    """Returns what the caller is told of an exception: never a traceback."""
    for kind in (InvalidInput, FunctionFailed, TimedOut):
        if isinstance(error, kind):
            # It may be a class of the user's, with a constructor that sets neither.
            message = getattr(error, "message", error)
            return ErrorBody(kind.code, text_of(message), getattr(error, "detail", {}))
    return ErrorBody(FunctionFailed.code, describe(error))


def error_answer(error: ErrorBody) -> Answer:
    """Returns an error as an answer. A detail that cannot travel is left out."""
    try:
        body = msgspec.msgpack.encode(error)
        msgspec.msgpack.decode(body, type=ErrorBody)
        if len(body) > MAX_ERROR_BYTES:
            raise ValueError(f"an error of {len(body)} bytes")
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        body = msgspec.msgpack.encode(ErrorBody(error.code, error.message))
    return Answer(Outcome.ERROR, Content.MSGPACK, 0, body)


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the arguments of a batched run: for each parameter the list of its values."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def _results(ended: Ended, calls: int) -> Ended:
    """Returns the list that a batched run returned, or why it is not one."""
    if ended.error is not None:
        return ended
    if not isinstance(ended.value, _LISTS):
        kind = type(ended.value).__name__
        return Ended(None, _WrongResults(f"a batched function returns a list, not a {kind}"))
    if len(ended.value) != calls:
        message = f"the batched function returned {len(ended.value)} results for {calls} calls"
        return Ended(None, _WrongResults(message))
    return ended
