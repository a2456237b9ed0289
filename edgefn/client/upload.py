"""Sends a box the contents that it lacks, in chunks, and goes on where a connection was cut."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import msgspec

from edgefn.bundle.build import Bundle
from edgefn.bundle.content import Content
from edgefn.client.errors import CallFailed, ConnectionLost, Unreachable
from edgefn.errors import EdgefnError, TimedOut

CHUNK_BYTES: Final = 4 * 1024 * 1024
TRIES: Final = 6  # in a row without a chunk that arrived
PAUSE_S: Final = 0.05  # before the second try; doubled for each one after it

OnProgress = Callable[[int, int], None]

# Codes of answers after which another try may succeed.
_PASSING: Final = frozenset({"out_of_step", "unavailable", "too_many_connections"})


class Missing(msgspec.Struct, frozen=True):
    """What a store lacks.

    Attributes:
        missing: Digests of what it does not have whole.
        partial: How many bytes it has of some of those.
    """

    missing: tuple[str, ...]
    partial: dict[str, int] = {}


class Store(Protocol):
    """A box's store, as far as an upload goes."""

    def missing(self, digests: list[str]) -> Missing:
        """Returns which of these it lacks."""

    def put(
        self, digest: str, query: Mapping[str, int], length: int, body: Iterator[bytes]
    ) -> None:
        """Sends it a part of a blob."""


def upload(bundle: Bundle, store: Store, on_progress: OnProgress) -> None:
    """Sends a store what it lacks of a bundle.

    Args:
        bundle: To send.
        store: To send it to.
        on_progress: Called with the bytes sent so far and those to send in all, the first time
            before the first chunk, the last time after the last one.

    Raises:
        EdgefnError: What the last of several tries ended with.
    """
    lacking = store.missing(list(bundle.files))
    starts = {
        digest: _start(lacking, digest, bundle.files[digest].size) for digest in lacking.missing
    }
    left = {digest: bundle.files[digest].size - start for digest, start in starts.items()}
    total_bytes, done_bytes = sum(left.values()), 0
    on_progress(0, total_bytes)
    for digest in lacking.missing:
        content = bundle.files[digest]
        before = done_bytes - starts[digest]

        def on_position(position: int, before: int = before) -> None:
            on_progress(max(0, before + position), total_bytes)

        _send(store, digest, content, starts[digest], on_position)
        done_bytes += left[digest]
        on_progress(done_bytes, total_bytes)


def _send(
    store: Store,
    digest: str,
    content: Content,
    position: int,
    on_position: Callable[[int], None],
) -> None:
    """Sends the bytes of one blob from a position on."""
    failures = 0
    while True:
        end = min(position + CHUNK_BYTES, content.size)
        body = _told(content.pieces(position, end), position, on_position)
        query = {"offset": position, "size": content.size}
        try:
            store.put(digest, query, end - position, body)
        except EdgefnError as error:
            failures += 1
            if failures >= TRIES or not _may_pass(error):
                raise
            time.sleep(PAUSE_S * 2 ** (failures - 1))
            if (found := _position(store, digest, content.size)) is None:
                return
            position = found
            continue
        failures, position = 0, end
        if position == content.size:
            return


def _start(lacking: Missing, digest: str, size: int) -> int:
    """Returns how many bytes of a blob came; 0 if it were more than it has, so not its own."""
    came = lacking.partial.get(digest, 0)
    return came if came <= size else 0


def _position(store: Store, digest: str, size: int) -> int | None:
    """Returns how many bytes of a blob came; None if all did; 0 if the store does not say."""
    try:
        lacking = store.missing([digest])
    except EdgefnError as error:
        if not _may_pass(error):
            raise
        return 0  # the next chunk is refused, and counts as another failure
    return _start(lacking, digest, size) if lacking.missing else None


def _may_pass(error: EdgefnError) -> bool:
    if isinstance(error, CallFailed):
        return error.detail.get("code") in _PASSING
    return isinstance(error, ConnectionLost | Unreachable | TimedOut)


def _told(
    pieces: Iterator[bytes], position: int, on_position: Callable[[int], None]
) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        position += len(piece)
        on_position(position)
