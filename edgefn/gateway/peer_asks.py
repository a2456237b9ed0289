"""What the hub asks of a box over a link, for its operators, and what the box answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from edgefn.errors import EdgefnError, ProtocolError
from edgefn.gateway.errors import Forbidden, Unavailable
from edgefn.gateway.peer_wire import PeerAnswered, PeerAsk, encode_answered, encode_ask
from edgefn.gateway.statuses import refused

MAX_ASKS: Final = 32  # of one link, in each direction

Answer = Callable[[PeerAsk], Awaitable[PeerAnswered]]


class PeerAsks:
    """The requests of one link that are not answered yet.

    Args:
        box: Name of the peer.
        write: Sends it a frame.
        answer: Answers it; None: it may ask nothing.
    """

    def __init__(self, box: str, write: Callable[[bytes], None], answer: Answer | None) -> None:
        self._box = box
        self._write = write
        self._answer = answer
        self._waiting: dict[int, asyncio.Future[PeerAnswered]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._last_id = 0

    async def ask(
        self, path: str, query: dict[str, str], caller: str, timeout_s: float
    ) -> PeerAnswered:
        """Returns what the peer answers.

        Args:
            path: As it was sent, without the query.
            query: By name.
            caller: Who asks the hub.
            timeout_s: How long to wait for it.

        Raises:
            Unavailable: It does not answer, or is asked too much already.
            ProtocolError: The request does not fit a frame.
        """
        if len(self._waiting) >= MAX_ASKS:
            raise Unavailable(f"box {self._box} has {MAX_ASKS} requests to answer already")
        self._last_id = number = (self._last_id + 1) & 0xFFFFFFFF
        frame = encode_ask(PeerAsk(number, path, query, caller))
        answered: asyncio.Future[PeerAnswered] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        self._write(frame)
        try:
            async with asyncio.timeout(timeout_s):
                return await answered
        except TimeoutError as error:
            raise Unavailable(
                f"box {self._box} did not answer GET {path} within {timeout_s:g} s"
            ) from error
        finally:
            self._waiting.pop(number, None)

    def take(self, ask: PeerAsk) -> None:
        """Has a request of the peer answered."""
        if self._answer is None:
            refusal: EdgefnError = Forbidden("a box answers its hub, and no other one")
            self._write(encode_answered(_refused(ask, refusal)))
        elif len(self._answering) >= MAX_ASKS:
            refusal = Unavailable(f"the box answers {MAX_ASKS} requests already; try again later")
            self._write(encode_answered(_refused(ask, refusal)))
        else:
            task = asyncio.get_running_loop().create_task(self._reply(self._answer, ask))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    def answered(self, answer: PeerAnswered) -> None:
        """Takes an answer of the peer; one that nobody waits for any more is dropped."""
        waiting = self._waiting.pop(answer.id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def close(self) -> None:
        """Answers nothing more, and fails what waits: the peer is gone."""
        for task in self._answering:
            task.cancel()
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done():
                lost = f"the link to box {self._box} was lost before it answered; try again"
                answer.set_exception(Unavailable(lost))

    async def _reply(self, answer: Answer, ask: PeerAsk) -> None:
        try:
            frame = encode_answered(await answer(ask))
        except EdgefnError as error:
            frame = encode_answered(_refused(ask, error))
        self._write(frame)


def _refused(ask: PeerAsk, error: EdgefnError) -> PeerAnswered:
    if isinstance(error, ProtocolError):  # what was asked for is too large to be told this way
        error = Unavailable(f"{error.message}: ask the box itself, or for less")
    told = refused(ask.id, error.body())
    return PeerAnswered(told.id, told.status, told.body)
