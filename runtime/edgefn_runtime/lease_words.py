"""What who takes leases needs: where the box is, what its messages are, and what may go wrong."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final, TypeVar

import msgspec

from edgefn_runtime.errors import EdgefnError, ProtocolError
from edgefn_runtime.leasing import (
    MAX_MESSAGE_BYTES,
    SOCKET,
    FromBox,
    LeaseRefused,
    LeaseTaken,
)

STATE_DIR: Final = "EDGEFN_STATE_DIR"
CONNECT_TIMEOUT_S: Final = 5.0
TAKE_TIMEOUT_S: Final = 150.0  # more than a box waits for a function, and for its replica then
ASK_TIMEOUT_S: Final = 10.0

_DECODER: Final = msgspec.msgpack.Decoder(FromBox)
_Kind = TypeVar("_Kind")


class NoBox(EdgefnError):
    """No box answers on this machine, or none with this state directory."""

    code: ClassVar[str] = "unavailable"


class NotLeased(EdgefnError):
    """The box gives no lease. `detail["code"]` is its own error code."""

    code: ClassVar[str] = "unavailable"


class LeaseLost(EdgefnError):
    """The connection to the box ended, or it does not answer: the lease is no longer held."""

    code: ClassVar[str] = "unavailable"


def socket_path(
    state_dir: str | Path | None = None, environ: Mapping[str, str] = os.environ
) -> str:
    """Returns where the box of a state directory hands out leases.

    Args:
        state_dir: Of the box; None: the one that `EDGEFN_STATE_DIR` names.
        environ: Of the process.

    Raises:
        NoBox: No state directory is named, or no box runs on it.
    """
    folder = state_dir or environ.get(STATE_DIR, "")
    if not folder:
        raise NoBox(f"which box? Set {STATE_DIR} to the state directory of the box here")
    note = Path(folder) / "run"
    try:
        run_directory = note.read_text().strip()
    except OSError as error:
        raise NoBox(
            f"no box runs on the state directory {folder} ({error.strerror}): start it with "
            "`edgefn up`"
        ) from error
    return str(Path(run_directory) / SOCKET)


def checked_length(length: int) -> int:
    """Returns a length that a message may have; raises ProtocolError for another."""
    if length > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"a message of {length} bytes; at most {MAX_MESSAGE_BYTES}")
    return length


def decode(body: bytes) -> FromBox:
    """Returns a message of a box; raises ProtocolError for what is none."""
    try:
        message: FromBox = _DECODER.decode(body)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"malformed message of the box: {error}") from error
    return message


def taken_of(message: FromBox) -> LeaseTaken:
    """Returns the lease that a box gave; raises NotLeased if it refused it."""
    if isinstance(message, LeaseRefused):
        raise refusal(message)
    return expect(LeaseTaken, message)


def expect(kind: type[_Kind], message: FromBox) -> _Kind:
    """Returns a message of this kind; raises ProtocolError for one of another."""
    if not isinstance(message, kind):
        raise ProtocolError(f"the box said {message!r} where it should have said {kind.__name__}")
    return message


def refusal(refused: LeaseRefused) -> NotLeased:
    """Returns the error for what a box refused."""
    return NotLeased(refused.message, code=refused.code)


def unreachable(path: str, error: OSError) -> NoBox:
    """Returns the error for a box that does not answer."""
    reason = error.strerror or "it does not answer"
    return NoBox(f"no box hands out leases at {path} ({reason}): start it with `edgefn up`")


def ended() -> LeaseLost:
    """Returns the error for a connection that a box ended."""
    return LeaseLost("the box ended the connection: the lease is no longer held")
