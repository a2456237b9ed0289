"""aiohttp's server protocol, with requests that are answered beside the task which it has.

aiohttp wakes a task for what it parsed, and that task starts another one for the handler: two turns
of the loop before anything happens, and two after. While that task rests, an ordinary call is taken
from aiohttp's queue here, in the turn in which it is read, and answered in the turn in which its
reply is. Whatever else comes is left in the queue, and the task is woken.

Python's own HTTP client, and what is built on it, sends a body behind its head, not with it. So a
small one is waited for, for a moment.

What this needs of aiohttp is not public. Where a release of aiohttp has it no more, its task does
all.
"""

import asyncio
from typing import Any, Final, Protocol

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.http_writer import StreamWriter

from edgefn.gateway.answer import Answer

_NEEDED: Final = (
    "_buffer_paused", "_close", "_force_close", "_keepalive_handle", "_keepalive_timeout",
    "_messages", "_next_keepalive_close_time", "_parser", "_process_keepalive",
    "_request_factory", "_task_handler", "_waiter",
)  # fmt: skip
_SMALL_BYTES: Final = 65_536  # of a body that is waited for,
_SOON_S: Final = 0.02  # and for how long: then the task reads it, and bounds that

POSSIBLE: Final = hasattr(HttpRequestParser, "message_consumed") and all(
    hasattr(web.RequestHandler, name) for name in _NEEDED
)


class Direct(Protocol):
    """A request that is answered without a task."""

    def begin(self, request: web.BaseRequest) -> Answer | None:
        """Returns its answer if that is known at once; otherwise `answered` is called later."""

    def left(self) -> None:
        """Its caller is gone: there is nothing to answer any more."""


class DirectHandler(web.RequestHandler):
    """The server protocol of one connection.

    One of two answers at a time: aiohttp's task, or the request that is under way here.
    Meanwhile the future that the task awaits is kept here, so that nothing wakes it.
    """

    __slots__ = ("_coming", "_resting", "_under_way", "_until")

    def __init__(self, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._resting: asyncio.Future[None] | None = None
        self._under_way: Direct | None = None
        self._coming: Direct | None = None  # whose body is waited for,
        self._until: asyncio.TimerHandle | None = None  # until then

    @property
    def body_is_coming(self) -> bool:
        """Whether the head of a request is here whose body is waited for."""
        return self._coming is not None

    def direct(self, message: RawRequestMessage) -> Direct | None:
        """Returns how a request is answered whose body is there; None: not here."""
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Ends what is under way; called by the loop."""
        super().connection_lost(exc)
        self._resting = None  # that of a task which is cancelled now
        self._wait_no_more()
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.left()

    def data_received(self, data: bytes) -> None:
        """Takes bytes; called by the loop."""
        waiter = self._waiter
        if POSSIBLE and waiter is not None and not waiter.done():
            self._resting, self._waiter = waiter, None
        elif self._coming is None:
            super().data_received(data)
            return
        super().data_received(data)
        self._go_on()

    def resume_writing(self) -> None:
        """Goes on with what came while the caller did not read; called by the loop."""
        super().resume_writing()
        if self._resting is not None and self._under_way is None:
            self._go_on()

    def answered(self, request: web.BaseRequest, answer: Answer) -> None:
        """The request that is under way has its answer."""
        self._under_way = None
        if self._write(request, answer):
            self._go_on()

    def _go_on(self) -> None:
        """Answers what was read as far as that goes here, and leaves the rest to the task."""
        while self._messages and not self._buffer_paused:
            if self.writing_paused:
                return
            message, payload = self._messages[0]
            if not isinstance(message, RawRequestMessage) or message.upgrade:
                break  # the parser refused it, or it is no call
            direct = self._coming or self.direct(message)
            if direct is None:
                break
            if not payload.is_eof():
                if self._waits(direct, message):
                    return
                break
            self._wait_no_more()
            request = self._take()
            self._under_way = direct
            answer = direct.begin(request)
            if answer is None:
                return
            self._under_way = None
            if not self._write(request, answer):
                return
        self._leave_to_task()

    def _waits(self, direct: Direct, message: RawRequestMessage) -> bool:
        """Returns whether a body that is not all here is waited for."""
        if self._coming is None and _comes_soon(message):
            self._coming = direct
            self._until = self._loop.call_later(_SOON_S, self._leave_to_task)
        return self._coming is not None

    def _wait_no_more(self) -> None:
        if self._until is not None:
            self._until.cancel()
        self._coming = self._until = None

    def _take(self) -> web.BaseRequest:
        message, payload = self._messages.popleft()
        parser, make_request, task = self._parser, self._request_factory, self._task_handler
        assert isinstance(message, RawRequestMessage)
        assert parser is not None and make_request is not None and task is not None
        parser.message_consumed()
        return make_request(message, payload, self, StreamWriter(self, self._loop), task)

    def _write(self, request: web.BaseRequest, answer: Answer) -> bool:
        """Writes an answer; returns whether the connection stays open."""
        try:
            answer.write(request)
        except ConnectionError:
            self.force_close()
            return False
        if self._close or not answer.keep_alive:
            self.force_close()
            return False
        return True

    def _leave_to_task(self) -> None:
        self._wait_no_more()
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:  # it rang while a request was under way
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )
        waiter, self._resting = self._resting, None
        self._waiter = waiter
        if self._messages and waiter is not None and not waiter.done():
            waiter.set_result(None)


def _comes_soon(message: RawRequestMessage) -> bool:
    """Whether a small body is on its way, and is not held back (RFC 9110, section 10.1.1)."""
    headers = message.headers
    length = headers.get("Content-Length", "")
    return length.isdecimal() and int(length) <= _SMALL_BYTES and "Expect" not in headers
