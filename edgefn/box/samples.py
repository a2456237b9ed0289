"""Sends a replica the calls that its bundle brings along, and requires a result of each."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from edgefn.box.replica import Replica
from edgefn.errors import DeploymentFailed, EdgefnError, ErrorBody, ProtocolError
from edgefn_runtime.frames import FrameReader, encode_call
from edgefn_runtime.wire import NO_BUDGET, Call, CallHead, Content, Hello, Outcome, Reply

MARGIN_S: Final = 2.0  # beyond the function's timeout: the box kills what runs for longer
_READ_BYTES: Final = 64 * 1024

_CONTENTS: Final = {".json": Content.JSON, ".msgpack": Content.MSGPACK}
_MEDIA_TYPES: Final = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".wav": "audio/wav",
    ".pcm": "audio/pcm",
}


class SampleFailed(DeploymentFailed):
    """A replica gave no result for one of its own samples."""


async def answer_samples(replica: Replica, ended: Callable[[str], Awaitable[None]]) -> None:
    """Returns once a replica has answered all samples of its bundle.

    Args:
        replica: Ready, of a revision whose files are written out.
        ended: Awaited with the id of a replica that hung up: returns when it is gone.

    Raises:
        SampleFailed: A sample has no known content type, or there was no result for it within
            the time that a run may take. The message names its file.
    """
    samples = replica.revision.manifest.samples
    if not samples:
        return
    path = ""
    try:
        async with asyncio.timeout(MARGIN_S):
            reader, writer = await asyncio.open_unix_connection(replica.socket)
        try:
            replies = _Replies(reader)
            for path in samples:
                writer.write(encode_call(await asyncio.to_thread(_call, replica, path)))
                async with asyncio.timeout(replica.revision.spec.timeout_s + MARGIN_S):
                    await writer.drain()
                    _check(await replies.next())
        finally:
            writer.close()
    except (OSError, TimeoutError, EdgefnError) as error:
        reason = await _reason(replica, error, ended)
        raise SampleFailed(
            f"{replica.revision.function} does not answer its sample {path}: {reason}"
        ) from error


async def _reason(
    replica: Replica, error: Exception, ended: Callable[[str], Awaitable[None]]
) -> str:
    if isinstance(error, EdgefnError):
        return error.message
    try:
        async with asyncio.timeout(MARGIN_S):
            await ended(replica.id)
    except TimeoutError:
        return f"no result within {replica.revision.spec.timeout_s:g} s"
    return replica.death.reason if replica.death is not None else "its replica ended"


class _Replies:
    """The replies on one connection, one at a time."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._frames = FrameReader()

    async def next(self) -> Reply:
        """Returns the next reply.

        Raises:
            ConnectionError: The replica hung up.
            ProtocolError: It said something else than a reply.
        """
        while data := await self._reader.read(_READ_BYTES):
            for frame in self._frames.feed(data):
                if isinstance(frame, Reply):
                    return frame
                if not isinstance(frame, Hello):
                    raise ProtocolError(f"the replica sent a {type(frame).__name__}")
        raise ConnectionResetError("the replica hung up")


def _call(replica: Replica, path: str) -> Call:
    suffix = PurePosixPath(path).suffix.lower()
    content, media_type = _CONTENTS.get(suffix), _MEDIA_TYPES.get(suffix, "")
    if content is None and not media_type:
        known = ", ".join((*_CONTENTS, *_MEDIA_TYPES))
        raise SampleFailed(f"its suffix says no content type; use one of {known}")
    body = Path(replica.revision.root, path).read_bytes()
    head = msgspec.msgpack.encode(CallHead("sample", media_type))
    accept = Content.JSON if content is None else content
    return Call(0, content or Content.MEDIA, accept, 0, NO_BUDGET, head, body)


def _check(reply: Reply) -> None:
    if reply.outcome != Outcome.RESULT:
        error = msgspec.msgpack.decode(reply.body, type=ErrorBody)
        raise SampleFailed(f"{error.code}: {error.message}")
