"""What an open-loop load is to do, and what came of every call of it, in columns."""

import io
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec
import numpy as np

UNANSWERED: Final = 0  # status of a call without an answer
LOST: Final = -1  # status of a call whose connection was closed

Column = np.ndarray[Any, Any]

_TIMING: Final = re.compile(rb"queue;dur=([0-9.]+), compute;dur=([0-9.]+)")
_PREDICTED: Final = re.compile(rb"\r\nEdgefn-Predicted-Ms: ([0-9.]+)", re.I)
_VARIANT: Final = re.compile(rb"\r\nEdgefn-Variant: ([^\r]+)", re.I)
_SLA: Final = re.compile(rb"\r\nEdgefn-Sla: ([^\r]+)", re.I)
_CODE: Final = re.compile(rb"code[^a-z]{1,4}([a-z_]+)")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of call."""

    function: str
    body: bytes
    content_type: str = "application/msgpack"
    headers: dict[str, str] = {}

    def request(self) -> bytes:
        """Returns the bytes of a request."""
        lines = {
            "Host": "bench",
            "Content-Type": self.content_type,
            "Content-Length": str(len(self.body)),
            **self.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST /v1/functions/{self.function} HTTP/1.1\r\n{head}\r\n".encode() + self.body


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Calls to make.

    Attributes:
        host: Of the server.
        port: Of the server.
        targets: Kinds of calls.
        at_s: When each is to be made, in order, as doubles.
        which: Index of the target of each, as 16-bit integers.
    """

    host: str
    port: int
    targets: tuple[Target, ...]
    at_s: bytes
    which: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A load as it went. Instants are seconds from its start; columns have one entry a call.

    Attributes:
        started_s: Its start, on the monotonic clock of the machine.
        cpu_s: Processor time of the generator.
        at_s: When the call was to be made,
        sent_s: was written,
        done_s: and was answered; 0 if it never was.
        which: Index of its target.
        status: Of the answer, or `UNANSWERED`, or `LOST`.
        queue_ms: As the replica said; not a number where it did not.
        compute_ms: Likewise.
        predicted_ms: As the gateway said.
        variant: Index in `variants`.
        sla: Index in `slas`.
        code: Of the error; index in `codes`.
        variants: Names; the first is empty.
        slas: Likewise.
        codes: Likewise.
    """

    started_s: float
    cpu_s: float
    at_s: Column
    sent_s: Column
    done_s: Column
    which: Column
    status: Column
    queue_ms: Column
    compute_ms: Column
    predicted_ms: Column
    variant: Column
    sla: Column
    code: Column
    variants: list[str] = field(default_factory=list)
    slas: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    @property
    def latency_ms(self) -> Column:
        """From the scheduled instant to the answer; infinite without one."""
        taken_ms = (self.done_s - self.at_s) * 1000
        return np.where(self.status > UNANSWERED, taken_ms, np.inf)

    @property
    def delay_ms(self) -> Column:
        """From the scheduled instant to the writing: the generator's own, or for a connection."""
        return (self.sent_s - self.at_s) * 1000

    @classmethod
    def of(cls, job: Job, *, answers: Sequence[bytes], **columns: Any) -> Self:
        """Makes a recording of raw answers."""
        timings = [_TIMING.search(one) for one in answers]
        variant, variants = _coded(_VARIANT, answers)
        sla, slas = _coded(_SLA, answers)
        code, codes = _coded(_CODE, [one if one[9:12] != b"200" else b"" for one in answers])
        return cls(
            started_s=columns["started_s"],
            cpu_s=columns["cpu_s"],
            at_s=np.frombuffer(job.at_s),
            sent_s=np.array(columns["sent_s"]),
            done_s=np.array(columns["done_s"]),
            which=np.frombuffer(job.which, dtype=np.int16),
            status=np.array(columns["status"]),
            queue_ms=_numbers(timings, 1),
            compute_ms=_numbers(timings, 2),
            predicted_ms=_numbers([_PREDICTED.search(one) for one in answers], 1),
            variant=variant, variants=variants, sla=sla, slas=slas, code=code, codes=codes,
        )  # fmt: skip

    def save(self, path: Path) -> None:
        """Writes it as a compressed numpy archive."""
        path.write_bytes(pack(self))

    @classmethod
    def load(cls, source: Any) -> Self:
        """Reads what `save` wrote."""
        with np.load(source, allow_pickle=False) as archive:
            read: dict[str, Any] = {name: archive[name] for name in archive.files}
        for name in ("started_s", "cpu_s"):
            read[name] = float(read[name])
        for name in ("variants", "slas", "codes"):
            read[name] = [str(each) for each in read[name]]
        return cls(**read)


def pack(recording: Recording) -> bytes:
    """Returns the bytes of a recording."""
    packed = io.BytesIO()
    columns = {each.name: getattr(recording, each.name) for each in fields(recording)}
    np.savez_compressed(packed, **columns)
    return packed.getvalue()


def make_calls(
    url: str, targets: Sequence[Target], at_s: Column, which: Column | None = None
) -> Recording:
    """Makes calls from a process of its own, and returns when all are answered or given up.

    Args:
        url: Of the box.
        targets: Kinds of calls.
        at_s: When to make each, in order.
        which: Index of the target of each; None: all of the first.
    """
    with generator(url, targets, at_s, which) as process:
        output, _ = process.communicate()
    if process.returncode:
        raise SystemExit("the load generator failed; its standard error says why")
    return Recording.load(io.BytesIO(output))


def generator(
    url: str, targets: Sequence[Target], at_s: Column, which: Column | None = None
) -> "subprocess.Popen[bytes]":
    """Starts the load generator; its output, which `Recording.load` reads, comes at the end."""
    split = urlsplit(url)
    job = Job(
        host=split.hostname or "",
        port=split.port or 80,
        targets=tuple(targets),
        at_s=np.ascontiguousarray(at_s, dtype=np.float64).tobytes(),
        which=np.ascontiguousarray(
            np.zeros(len(at_s)) if which is None else which, dtype=np.int16
        ).tobytes(),
    )
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("openloop.py"))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(msgspec.msgpack.encode(job))
    process.stdin.close()
    process.stdin = None
    return process


def arrivals(
    phases: Iterable[tuple[float, float]], rng: np.random.Generator, *, cv: float = 1.0
) -> Column:
    """Returns instants of calls that come in phases of (calls a second, seconds).

    Times between calls are Gamma distributed with this coefficient of variation; 1 is Poisson.
    """
    shape, start_s, parts = 1 / cv**2, 0.0, []
    for calls_per_s, duration_s in phases:
        expected = calls_per_s * duration_s
        count = int(expected + 10 * cv * np.sqrt(expected) + 20)
        gaps_s = rng.gamma(shape, 1 / (shape * calls_per_s), count)
        at_s = np.cumsum(gaps_s)
        parts.append(start_s + at_s[at_s < duration_s])
        start_s += duration_s
    return np.concatenate(parts)


def _coded(pattern: re.Pattern[bytes], answers: Iterable[bytes]) -> tuple[Column, list[str]]:
    codes: dict[str, int] = {"": 0}
    found = (pattern.search(one) for one in answers)
    names = [one[1].decode("ascii", "replace") if one else "" for one in found]
    column = np.array([codes.setdefault(name, len(codes)) for name in names], dtype=np.int16)
    return column, list(codes)


def _numbers(found: Iterable["re.Match[bytes] | None"], group: int) -> Column:
    return np.array([float(one[group]) if one else np.nan for one in found], dtype=np.float32)


def quantiles_ms(values: Column) -> Mapping[str, float]:
    """Returns p50, p95 and p99; nothing of nothing."""
    if not len(values):
        return {}
    return {
        f"p{percent}": float(np.quantile(values, percent / 100, method="higher"))
        for percent in (50, 95, 99)
    }
