"""How a box starts, watches and ends a replica.

Three channels, none of which carries a call:

- To the forkserver, a Unix stream socket with frames of `ToForkserver` and `FromForkserver`; a
  `Fork` has two file descriptors with it, the replica's log pipe and its lifecycle socket.
- The lifecycle socket between box and replica: the replica says `Ready` or `Failed` once, the box
  says `Drain`, and the end of the stream is the death of the other side. A build, which starts
  replicas in the same way, says `Measure`; the replica answers `Measured` or `Failed`.
- The status page, a small file that both map: two instants of the monotonic clock, which all
  processes of a machine share. The box sees a hang in it even if the replica can say nothing.

Messages are length-prefixed msgpack (u32, little-endian).
"""

import mmap
import os
import struct
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from edgefn_runtime.errors import ErrorBody, ProtocolError
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec
from edgefn_runtime.optimised import OptimisedForm
from edgefn_runtime.variant import Latency

MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
BEAT_S: Final = 0.25


class ModelFile(msgspec.Struct, frozen=True):
    """A model as the replica finds it: loaded from the bytes that have this digest, or refused.

    Attributes:
        path: Relative to the bundle.
        sha256: Of the file.
        optimised: Loaded in its place if that can be; None if the box has none.
    """

    path: str
    sha256: str
    optimised: OptimisedForm | None = None


class ReplicaConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All that a replica is told.

    Attributes:
        replica: Its id, unique on the box for the life of the box.
        function: Name of the deployment.
        revision: Revision of the deployment.
        variant: Name of the variant that it serves.
        root: Folder of the verified bundle; becomes `sys.path[0]` and the working directory.
        module: The declaring file, relative to `root`.
        attribute: The function's name in it.
        models: Parameter name to model.
        socket: Path of the Unix socket to listen on.
        status: Path of the status page, already made by the box.
        queue_limit: Calls that may wait.
        trial: Whether to announce the schema when ready; making it takes several ms of a start.
    """

    replica: str
    function: str
    revision: int
    variant: str
    root: str
    module: str
    attribute: str
    models: dict[str, ModelFile]
    socket: str
    status: str
    queue_limit: int = 1024
    trial: bool = False


class Fork(msgspec.Struct, frozen=True, tag="fork"):
    """Make a replica; two descriptors come with it: log pipe, lifecycle socket."""

    config: ReplicaConfig


class Kill(msgspec.Struct, frozen=True, tag="kill"):
    """Send SIGKILL to a replica. The forkserver does it: only a parent's pid is never stale."""

    replica: str


class Forked(msgspec.Struct, frozen=True, tag="forked"):
    """A replica has a process."""

    replica: str
    pid: int


class ForkFailed(msgspec.Struct, frozen=True, tag="fork_failed"):
    """The system refused another process."""

    replica: str
    message: str


class Exited(msgspec.Struct, frozen=True, tag="exited"):
    """A replica's process is gone. `status` as in `os.waitstatus_to_exitcode`."""

    replica: str
    status: int


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The function is loaded and its socket listens. `schema` is announced in a trial only."""

    boot_id: str
    spec: FunctionSpec
    schema: FunctionSchema | None
    load_s: float


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The function could not be loaded; the traceback is the developer's."""

    error: ErrorBody
    traceback: str = ""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Answer what you have, then exit."""


class Measure(msgspec.Struct, frozen=True, kw_only=True, tag="measure"):
    """Run your models for a while, and say how long a run takes. No calls are answered meanwhile.

    Attributes:
        inputs: Of each parameter's model, an `.npz` file with arrays `<run>/<input>`, in the order
            of the model's inputs.
        batches: Made of the first dimension of these arrays; one that a model refuses is left out.
            Where all are, the inputs are taken as they are.
        slice_s: How long to run each batch.
    """

    inputs: dict[str, str]
    batches: tuple[int, ...]
    slice_s: float


class Measured(msgspec.Struct, frozen=True, kw_only=True, tag="measured"):
    """What was asked for with `Measure`.

    Attributes:
        latencies: Of one run of each model, added up, by batch.
        load_s: How long the models took to load when the replica started.
        private_bytes: Memory that no other process shares, after the runs.
    """

    latencies: tuple[Latency, ...]
    load_s: float
    private_bytes: int


ToForkserver = Fork | Kill
FromForkserver = Forked | ForkFailed | Exited
FromReplica = Ready | Failed
ToBuild = FromReplica | Measured
ToReplica = Drain | Measure

_LENGTH = struct.Struct("<I")


def pack(message: Any) -> bytes:
    """Returns the bytes of one message, its length first."""
    body = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(body)) + body


class MessageReader:
    """Cuts a stream into messages of one type."""

    def __init__(self, kind: Any) -> None:
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """Returns the messages that `data` completes.

        Raises:
            ProtocolError: A length beyond the limit, or bytes of another type.
        """
        self._rest += data
        messages = []
        while len(self._rest) >= 4:
            (length,) = _LENGTH.unpack_from(self._rest)
            if length > MAX_MESSAGE_BYTES:
                raise ProtocolError(f"a message of {length} bytes; at most {MAX_MESSAGE_BYTES}")
            if len(self._rest) < 4 + length:
                break
            try:
                messages.append(self._decoder.decode(bytes(self._rest[4 : 4 + length])))
            except msgspec.MsgspecError as error:
                raise ProtocolError(f"malformed message: {error}") from error
            del self._rest[: 4 + length]
        return messages


class StatusPage:
    """Two instants, shared by a replica that writes them and a box that reads them.

    `beat_s` is when the replica's event loop last turned; `run_started_s` is when the user's code
    that runs now was entered, or 0. Each is one aligned 8-byte store, so a reader never sees half.
    """

    SIZE: Final = 16

    def __init__(self, buffer: mmap.mmap | bytearray) -> None:
        self._words = memoryview(buffer).cast("B").cast("d")

    @classmethod
    def create(cls, path: Path) -> Self:
        """Makes the file, zeroed and for this user alone, and maps it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, cls.SIZE)
            return cls(mmap.mmap(descriptor, cls.SIZE))
        finally:
            os.close(descriptor)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Maps an existing page."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            return cls(mmap.mmap(descriptor, cls.SIZE))
        finally:
            os.close(descriptor)

    @property
    def beat_s(self) -> float:
        """When the event loop last turned (monotonic clock), 0 before it first did."""
        return float(self._words[0])

    @beat_s.setter
    def beat_s(self, value: float) -> None:
        self._words[0] = value

    @property
    def run_started_s(self) -> float:
        """When the user's code that runs now was entered (monotonic clock), or 0."""
        return float(self._words[1])

    @run_started_s.setter
    def run_started_s(self, value: float) -> None:
        self._words[1] = value
