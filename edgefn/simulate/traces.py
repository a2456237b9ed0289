"""Calls out of a recording: the Azure Functions traces of 2019 and of 2021, or a plain CSV.

    HashOwner,HashApp,HashFunction,Trigger,1,2,...,1440    2019: calls in each minute of a day
    app,func,end_timestamp,duration                        2021: one call a line, seconds
    time_s,function[,size_bytes][,site]                    plain: one call a line

Which one it is, the first line says. The formats are those of the data's own description
(github.com/Azure/AzurePublicDataset).
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy

from edgefn.errors import ConfigError
from edgefn.simulate.rate import Floats

_MINUTE_S: Final = 60.0
_NAMED: Final = 5
_Row = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The calls of one function, ascending in time; the recording begins at 0.

    Attributes:
        source: File, for messages.
        instants_s: When calls come in.
        sizes: Of each call in bytes, if they were recorded.
        sites: Name of each call's site, if they were recorded.
    """

    source: str
    instants_s: Floats
    sizes: Floats | None = None
    sites: tuple[str, ...] | None = None

    def site_index(self, name: str, by_name: Mapping[str, int]) -> int:
        """Returns the index of a site.

        Raises:
            ConfigError: Calls do not come in at any site of that name.
        """
        try:
            return by_name[name]
        except KeyError:
            known = ", ".join(by_name) or "none"
            raise ConfigError(
                f"{self.source}: no calls come in at a site {name!r}; sites of the scenario where "
                f"they do: {known}"
            ) from None


class _Lines:
    """The lines of a file, and where one is while a fault is told."""

    def __init__(self, source: str, rows: Iterator[_Row]) -> None:
        self.source = source
        self._rows = rows
        self.number = 1
        self.header = [column.strip() for column in next(rows, [])]

    def __iter__(self) -> Iterator[_Row]:
        for row in self._rows:
            self.number += 1
            if not row:
                continue
            if len(row) != len(self.header):
                raise ConfigError(
                    f"{self.source}, line {self.number}: {len(row)} columns where the first line "
                    f"names {len(self.header)}"
                )
            yield row

    def number_in(self, row: _Row, column: int) -> float:
        """Returns a number of at least 0."""
        try:
            value = float(row[column])
        except ValueError:
            value = -1.0
        if 0.0 <= value < float("inf"):
            return value
        raise ConfigError(
            f"{self.source}, line {self.number}, column {self.header[column]}: {row[column]!r} "
            f"is not a number of at least 0"
        )


class _Wanted:
    """Which function is meant, and which ones a file has, for those who named none of them."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.found = False
        self._seen: Counter[str] = Counter()

    def is_name(self, name: str, weight: int = 1) -> bool:
        self._seen[name] += weight
        self.found = self.found or name == self.key
        return name == self.key

    def is_hash(self, name: str, weight: int = 1) -> bool:
        """Tells whether it is meant; the beginning of a hash is enough."""
        meant = name.startswith(self.key)
        self._seen[name] += weight
        self.found = self.found or meant
        return meant

    def busiest(self) -> str:
        return ", ".join(name for name, _ in self._seen.most_common(_NAMED)) or "(none)"


def read_trace(trace: str, function: str, *, until_s: float, rng: numpy.random.Generator) -> Trace:
    """Returns the calls of one function.

    Args:
        trace: Path, and after a `#` which function of the file is meant, or the beginning of its
            hash; without one it is `function`.
        function: Name in the scenario.
        until_s: Later calls are left out.
        rng: Spreads calls within a minute where only their number was recorded.

    Raises:
        ConfigError: It cannot be read, is none of the formats, or has no such function; says where.
    """
    name, _, key = trace.partition("#")
    wanted = _Wanted(key or function)
    with _opened(name) as lines:
        columns = lines.header
        read = _format_of(columns)
        if read is None:
            raise ConfigError(
                f"{name}, line 1: the columns {', '.join(columns[:6]) or '(none)'} are those of no "
                f"format that is known. Expected time_s,function[,size_bytes][,site], or a file of "
                f"the Azure Functions traces of 2019 or 2021"
            )
        found = read(lines, wanted, until_s, rng)
    if not wanted.found:
        raise ConfigError(
            f"{name}: has no calls of a function {wanted.key!r}. Name one behind the file, as in "
            f'trace = "FILE#NAME"; the busiest ones are {wanted.busiest()}'
        )
    return found


@contextmanager
def _opened(name: str) -> Iterator[_Lines]:
    try:
        with Path(name).open(encoding="utf-8", newline="") as file:
            yield _Lines(name, csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"cannot read the trace {name}: {reason}") from error


_Read = Callable[[_Lines, _Wanted, float, numpy.random.Generator], Trace]


def _format_of(columns: list[str]) -> _Read | None:
    if columns[:4] == ["HashOwner", "HashApp", "HashFunction", "Trigger"]:
        return _minutes
    if columns == ["app", "func", "end_timestamp", "duration"]:
        return _ends
    if {"time_s", "function"} <= set(columns) <= {"time_s", "function", "size_bytes", "site"}:
        return _plain
    return None


def _minutes(lines: _Lines, wanted: _Wanted, until_s: float, rng: numpy.random.Generator) -> Trace:
    """Reads calls per minute: within a minute they are spread evenly at random."""
    counts = numpy.zeros(len(lines.header) - 4, dtype=numpy.int64)
    for row in lines:
        busy_minutes = len(row) - 4 - row.count("0")  # cheaper than calls, for all those not meant
        if wanted.is_hash(row[2], busy_minutes):
            calls = [int(lines.number_in(row, column)) for column in range(4, len(row))]
            counts += numpy.array(calls, dtype=numpy.int64)
    minutes = numpy.repeat(numpy.arange(len(counts)), counts)
    minutes = minutes[minutes * _MINUTE_S < until_s]
    instants = numpy.sort((minutes + rng.random(len(minutes))) * _MINUTE_S)
    return Trace(source=lines.source, instants_s=instants[instants < until_s])


def _ends(lines: _Lines, wanted: _Wanted, until_s: float, rng: numpy.random.Generator) -> Trace:
    """Reads when calls ended and how long they took."""
    starts: list[float] = []
    for row in lines:
        start_s = lines.number_in(row, 2) - lines.number_in(row, 3)
        if wanted.is_hash(row[1]) and 0.0 <= start_s < until_s:
            starts.append(start_s)
    return Trace(source=lines.source, instants_s=numpy.sort(numpy.array(starts, dtype=float)))


def _plain(lines: _Lines, wanted: _Wanted, until_s: float, rng: numpy.random.Generator) -> Trace:
    """Reads instants, and sizes and sites if there are such columns."""
    column = {name: index for index, name in enumerate(lines.header)}
    instants, sizes, sites = [], [], []
    for row in lines:
        at_s = lines.number_in(row, column["time_s"])
        if not wanted.is_name(row[column["function"]]) or at_s >= until_s:
            continue
        instants.append(at_s)
        if "size_bytes" in column:
            sizes.append(lines.number_in(row, column["size_bytes"]))
        if "site" in column:
            sites.append(row[column["site"]])
    order = numpy.argsort(numpy.array(instants, dtype=float), kind="stable")
    return Trace(
        source=lines.source,
        instants_s=numpy.array(instants, dtype=float)[order],
        sizes=numpy.array(sizes, dtype=float)[order] if "size_bytes" in column else None,
        sites=tuple(sites[index] for index in order) if "site" in column else None,
    )
