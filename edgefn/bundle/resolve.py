"""Resolves requirements to exact versions, by uv or pip, within what edgefn itself needs."""

import hashlib
import tempfile
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgefn.bundle.installer import PYTHON, pip, run, uv
from edgefn.bundle.lock import InvalidLock, Locked, parse_lock, render_lock


class _Archive(msgspec.Struct):
    hashes: dict[str, str] = {}


class _Download(msgspec.Struct):
    url: str = ""
    archive_info: _Archive | None = None


class _Metadata(msgspec.Struct):
    name: str
    version: str


class _Found(msgspec.Struct):
    metadata: _Metadata
    download_info: _Download


class _Report(msgspec.Struct):
    """What of pip's installation report is used."""

    install: list[_Found]


def resolve(requirements: tuple[str, ...]) -> str:
    """Asks the package index and returns a lock for this version of Python.

    With uv it has the files of every platform, with pip those of this machine's.

    Args:
        requirements: As PEP 508 writes them.

    Raises:
        InstallerFailed: There is no such distribution, no wheel of it, a conflict, or no network.
        InvalidLock: A requirement or the index gives what a lock cannot have.
    """
    for text in requirements:
        requirement = Requirement(text)
        if requirement.url:
            raise InvalidLock(f"{text!r} names a URL; name a version that the index has")
        if canonicalize_name(requirement.name) == "edgefn":
            raise InvalidLock(f"{text!r} is what every box has; leave it out")
    with tempfile.TemporaryDirectory() as scratch:
        constraints = Path(scratch, "constraints.txt")
        constraints.write_text("\n".join(own_bounds()))
        if (command := uv()) is not None:
            return render_lock(_with_uv(command, requirements, constraints))
        return render_lock(_with_pip(requirements, constraints))


def own_bounds() -> list[str]:
    """Returns what edgefn itself needs, as constraints on what a function may bring."""
    own = (Requirement(text) for text in metadata.requires("edgefn") or ())
    return sorted(f"{each.name}{each.specifier}" for each in own if each.marker is None)


def download(lock: str, into: Path) -> None:
    """Puts the wheels of a lock that this machine needs into a folder.

    Args:
        lock: Its text.
        into: A folder that is there and empty.

    Raises:
        InstallerFailed: One is not to be had.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(lock)
        file.flush()
        command = [*pip(), "download", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        options = ["--progress-bar", "off", "--retries", "2", "--dest", str(into)]
        run([*command, *options, "--requirement", file.name])


def _with_uv(
    command: list[str], requirements: tuple[str, ...], constraints: Path
) -> tuple[Locked, ...]:
    command = [*command, "pip", "compile", "--universal", "--generate-hashes", "--no-header"]
    command += ["--no-annotate", "--quiet", "--python-version", PYTHON, "--only-binary", ":all:"]
    text = "\n".join(requirements)
    return parse_lock(run([*command, "--constraints", str(constraints), "-"], text=text))


def _with_pip(requirements: tuple[str, ...], constraints: Path) -> tuple[Locked, ...]:
    report = constraints.with_name("report.json")
    command = [*pip(), "install", "--dry-run", "--ignore-installed", "--only-binary", ":all:"]
    command += ["--progress-bar", "off", "--retries", "2", "--report", str(report)]
    run([*command, "--constraint", str(constraints), *requirements])
    found = msgspec.json.decode(report.read_bytes(), type=_Report).install
    return tuple(map(_locked, found))


def _locked(found: _Found) -> Locked:
    archive = found.download_info.archive_info
    name, version = canonicalize_name(found.metadata.name), found.metadata.version
    sha256 = (archive.hashes.get("sha256") if archive else None) or _of_file(found.download_info)
    if sha256 is None:
        raise InvalidLock(f"the index has no SHA-256 of {name} {version}; use one that has")
    return Locked(name=name, version=version, hashes=(sha256,))


def _of_file(download: _Download) -> str | None:
    """Returns the digest of a wheel in a local folder, which older pips leave out."""
    parts = urlsplit(download.url)
    if parts.scheme != "file":
        return None
    with open(unquote(parts.path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
