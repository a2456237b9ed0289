"""The text of a lock: exact versions, each with the SHA-256 of the files that may be installed.

It is what pip and uv call a requirements file in hash-checking mode, and of that only this much: a
lock comes from others, and a requirements file may as well name an index, a URL or a folder.

    scipy==1.16.0 ; python_version < "3.14" \\
        --hash=sha256:...
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from edgefn.errors import EdgefnError

MAX_LOCK_BYTES: Final = 1024 * 1024

_LINE: Final = re.compile(
    r"(?P<name>[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)==(?P<version>[^ ;]+)"
    r"( ?; ?(?P<marker>[^#]*?))?"
    r"(?P<hashes>( --hash=sha256:[0-9a-f]{64})+)"
)
_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})")


class InvalidLock(EdgefnError):
    """A lock that is not one, or that says more than it may."""

    code = "invalid_manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One distribution of a lock.

    Attributes:
        name: Normalised, as PEP 503 has it.
        version: Exact, as PEP 440 has it.
        marker: Where it is needed (PEP 508); empty: everywhere.
        hashes: SHA-256 of the files that may be installed, in hex, sorted.
    """

    name: str
    version: str
    marker: str = ""
    hashes: tuple[str, ...]

    def applies(self) -> bool:
        """Whether it is needed by the Python that asks."""
        return not self.marker or Marker(self.marker).evaluate({"extra": ""})

    def text(self) -> str:
        """Returns its lines."""
        head = f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")
        return " \\\n".join([head, *(f"    --hash=sha256:{each}" for each in self.hashes)])


def parse_lock(text: str) -> tuple[Locked, ...]:
    """Reads a lock; lines that begin with # are comments.

    Raises:
        InvalidLock: A line is something else than an exact version with hashes.
    """
    if len(text) > MAX_LOCK_BYTES:
        raise InvalidLock(f"the lock has {len(text)} characters; at most {MAX_LOCK_BYTES} may be")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    joined = "\n".join(lines).replace("\\\n", " ")
    # Runs of blanks become one, so that no line makes the pattern go over it more than once.
    words = (" ".join(line.split()) for line in joined.splitlines())
    return tuple(_parse_line(line) for line in words if line)


def render_lock(distributions: Iterable[Locked]) -> str:
    """Returns the text of a lock: the same distributions in any order always give the same."""
    ordered = sorted(
        distributions, key=lambda each: (each.name, Version(each.version), each.marker)
    )
    return "".join(f"{each.text()}\n" for each in ordered)


def _parse_line(line: str) -> Locked:
    found = _LINE.fullmatch(line)
    if found is None:
        raise InvalidLock(
            f"the lock has the line {line[:200]!r}; each must be NAME==VERSION with the "
            "--hash=sha256:... of its files"
        )
    try:
        version = str(Version(found["version"]))
        marker = str(Marker(found["marker"])) if found["marker"] else ""
    except (InvalidVersion, InvalidMarker) as error:
        raise InvalidLock(f"the lock has the line {line[:200]!r}: {error}") from error
    return Locked(
        name=canonicalize_name(found["name"]),
        version=version,
        marker=marker,
        hashes=tuple(sorted(set(_HASH.findall(found["hashes"])))),
    )
