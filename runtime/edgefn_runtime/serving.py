"""Serves the calls of all gateways: one queue, one pump, one write a connection and turn.

All complete frames of a read are queued before anything runs, so that what arrived together runs
together; then the pump takes batches until the queue is empty or its turn is over. A plain function
runs on the event loop itself: a thread would cost two switches a call, and the loop has nothing
else to do. A coroutine function runs in tasks, a bounded number of them.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from edgefn_runtime.connection import Connection
from edgefn_runtime.errors import (
    DeadlineExceeded,
    DeadlineUnattainable,
    EdgefnError,
    ProtocolError,
    QueueFull,
    TimedOut,
)
from edgefn_runtime.execution import Answer, Ended, Execution, Steps, error_answer
from edgefn_runtime.frames import encode_reply
from edgefn_runtime.lifecycle import BEAT_S, StatusPage
from edgefn_runtime.manifest import ASYNC_RUNS
from edgefn_runtime.queue import NO_DEADLINE, CallQueue, Waiting
from edgefn_runtime.wire import NO_BUDGET, Call, Cancel, Frame, Outcome, Reply

TURN_S: Final = 0.0005  # answers wait for at most so long, and one run, to be sent together
QUIET_S: Final = 0.2
_DRAIN_TICK_S: Final = 0.01

Queued: TypeAlias = Waiting[tuple[Connection, Call]]
Function: TypeAlias = Callable[..., Any]


class _Load(NamedTuple):
    """What a reply reports beside its answer; see `Reply`."""

    service_us: int
    batch: int
    backlog_us: int
    queued: int


class ReplicaServer:
    """Answers calls with one function.

    Args:
        hello: The first frame on every connection.
        execution: How calls are answered.
        function: What is called; a coroutine function if `is_async`.
        page: Where the box sees what runs.
        queue_limit: Calls that may wait.
        max_batch: Most calls of one run.
        is_async: Whether the function is a coroutine function.
        timeout_s: Limit on one run. Of a plain function the box enforces it, by killing.
    """

    def __init__(
        self,
        hello: bytes,
        execution: Execution,
        function: Function,
        page: StatusPage,
        *,
        queue_limit: int,
        max_batch: int,
        is_async: bool,
        timeout_s: float,
    ) -> None:
        self.hello = hello
        self._execution = execution
        self._function = function
        self._page = page
        self._is_async = is_async
        self._timeout_s = timeout_s
        self._lanes = ASYNC_RUNS if is_async else 1
        self._queue: CallQueue[tuple[Connection, Call]] = CallQueue(
            limit=queue_limit, max_batch=max_batch, lanes=self._lanes
        )
        self._connections: set[Connection] = set()
        self._touched: set[Connection] = set()
        self._tasks: dict[asyncio.Task[None], float] = {}  # to when the run of each started
        self._pump_is_due = False
        self._last_frame_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._beat()

    def opened(self, connection: Connection) -> None:
        """A gateway connected."""
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        """A gateway is gone: its calls are forgotten."""
        self._connections.discard(connection)
        self._touched.discard(connection)
        for waiting in connection.calls.values():
            self._queue.cancel(waiting)
        connection.calls.clear()

    def received(self, connection: Connection, frames: list[Frame]) -> None:
        """Queues calls and takes cancelled ones out.

        Raises:
            ProtocolError: A frame that a gateway does not send, or an id that is in use.
        """
        now_s = self._last_frame_s = time.monotonic()
        for frame in frames:
            if isinstance(frame, Call):
                self._accept(connection, frame, now_s)
            elif isinstance(frame, Cancel):
                waiting = connection.calls.get(frame.id)
                if waiting is not None and self._queue.cancel(waiting):
                    del connection.calls[frame.id]
            else:
                raise ProtocolError(f"a {type(frame).__name__} does not come from a gateway")
        self._wake()

    async def drain(self) -> None:
        """Returns when all is answered and no more calls can be on their way.

        That is when every gateway has closed its connection, or none has sent anything for
        `QUIET_S`.
        """
        started_s = time.monotonic()
        while self._connections:
            quiet_s = time.monotonic() - max(self._last_frame_s, started_s)
            if quiet_s > QUIET_S and all(each.is_quiet() for each in self._connections):
                break
            await asyncio.sleep(_DRAIN_TICK_S)
        for connection in list(self._connections):
            connection.close()

    def _accept(self, connection: Connection, call: Call, now_s: float) -> None:
        if call.id in connection.calls:
            raise ProtocolError(f"call {call.id} is not answered yet, and was sent again")
        # It may have lain in the socket for as long as the last run took.
        sent_s = min(call.sent_us * 1e-6, now_s) if call.sent_us else now_s
        deadline_s = NO_DEADLINE if call.budget_us == NO_BUDGET else sent_s + call.budget_us * 1e-6
        try:
            waiting = self._queue.push((connection, call), deadline_s=deadline_s, now_s=sent_s)
        except QueueFull as error:
            self._reply(connection, call.id, error_answer(error.body()), 0.0, self._load())
            return
        connection.calls[call.id] = waiting

    def _wake(self) -> None:
        if not self._pump_is_due:
            self._pump_is_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Runs what waits, for one turn of the loop, and sends what was answered."""
        self._pump_is_due = False
        started_s = now_s = time.monotonic()
        while self._queue and len(self._tasks) < self._lanes and now_s - started_s < TURN_S:
            batch = self._queue.take(now_s)
            for waiting in batch.dropped:
                self._drop(waiting, now_s)
            if batch.run:
                self._start(batch.run, now_s)
            now_s = time.monotonic()
        for connection in self._touched:
            connection.flush()
        self._touched.clear()
        if self._queue and len(self._tasks) < self._lanes:
            self._wake()

    def _start(self, run: list[Queued], now_s: float) -> None:
        steps = self._execution.steps([waiting.item[1] for waiting in run])
        if self._is_async:
            task = self._loop.create_task(self._run_in_task(run, steps, now_s))
            self._tasks[task] = now_s
            self._show_oldest()
        else:
            self._answer(run, self._run_here(steps), now_s)

    def _run_here(self, steps: Steps) -> list[Answer]:
        """Runs a plain function; decoding and encoding count too, for they run its validators."""
        page, function = self._page, self._function
        page.run_started_s = time.monotonic()
        try:
            arguments = next(steps)
            while True:
                try:
                    ended = Ended(function(**arguments))
                except BaseException as error:  # the user's; SystemExit ends the call, not us
                    ended = Ended(None, error)
                page.run_started_s = time.monotonic()
                arguments = steps.send(ended)
        except StopIteration as done:
            answers: list[Answer] = done.value
            return answers
        finally:
            page.run_started_s = 0.0

    async def _run_in_task(self, run: list[Queued], steps: Steps, started_s: float) -> None:
        try:
            arguments = next(steps)
            while True:
                ended = await self._await(arguments)
                self._refresh()
                arguments = steps.send(ended)
        except StopIteration as done:
            self._answer(run, done.value, started_s)
        finally:
            task = asyncio.current_task()
            if task is not None:
                del self._tasks[task]
            self._show_oldest()
            self._wake()

    async def _await(self, arguments: dict[str, Any]) -> Ended:
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                return Ended(await self._function(**arguments))
        except asyncio.CancelledError as error:
            # The user's code cancelled itself, or something of its own: nobody here cancels runs.
            task = asyncio.current_task()
            while task is not None and task.cancelling():
                task.uncancel()
            return Ended(None, error)
        except BaseException as error:  # the user's; SystemExit ends the call, not us
            if limit.expired() and isinstance(error, TimeoutError):
                error = TimedOut(
                    f"the function ran longer than its timeout of {self._timeout_s:g} s"
                )
            return Ended(None, error)

    def _refresh(self) -> None:
        """Notes that the current task begins another run, which has a timeout of its own."""
        task = asyncio.current_task()
        if task is not None:
            self._tasks[task] = time.monotonic()
            self._show_oldest()

    def _show_oldest(self) -> None:
        self._page.run_started_s = min(self._tasks.values(), default=0.0)

    def _answer(self, run: list[Queued], answers: list[Answer], started_s: float) -> None:
        ended_s = time.monotonic()
        if all(answer.outcome == Outcome.RESULT for answer in answers):
            # A refused call took no time, and an isolated one too much: neither is what runs take.
            self._queue.observe(len(run), started_s=started_s, ended_s=ended_s)
        load = self._load(service_s=ended_s - started_s, batch=len(run))
        for waiting, answer in zip(run, answers, strict=True):
            connection, call = waiting.item
            if connection.calls.get(call.id) is waiting:  # else its gateway is gone
                del connection.calls[call.id]
                self._reply(connection, call.id, answer, started_s - waiting.arrived_s, load)

    def _drop(self, waiting: Queued, now_s: float) -> None:
        connection, call = waiting.item
        waited_s = now_s - waiting.arrived_s
        error: EdgefnError
        if waiting.deadline_s <= now_s:
            error = DeadlineExceeded(
                f"the deadline passed after {waited_s * 1000:.1f} ms of waiting"
            )
        else:
            left_ms = (waiting.deadline_s - now_s) * 1000
            error = DeadlineUnattainable(
                f"{left_ms:.1f} ms were left when its turn came, less than the function takes"
            )
        del connection.calls[call.id]
        self._reply(connection, call.id, error_answer(error.body()), waited_s, self._load())

    def _load(self, service_s: float = 0.0, batch: int = 0) -> _Load:
        return _Load(_micros(service_s), batch, _micros(self._queue.backlog_s()), len(self._queue))

    def _reply(
        self, connection: Connection, call_id: int, answer: Answer, waited_s: float, load: _Load
    ) -> None:
        outcome, content, aux, body, confidence, marks = answer
        service_us, batch, backlog_us, queued = load
        reply = Reply(
            call_id, outcome, content, aux, _micros(waited_s), service_us, backlog_us, batch,
            queued, body, confidence, marks,
        )  # fmt: skip
        connection.send(encode_reply(reply))
        self._touched.add(connection)

    def _beat(self) -> None:
        self._page.beat_s = time.monotonic()
        self._loop.call_later(BEAT_S, self._beat)


def _micros(seconds: float) -> int:
    return max(0, int(seconds * 1e6))
