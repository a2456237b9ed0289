"""Runs pip or uv, and says in one sentence why they failed.

uv is several times faster, and a lock that it resolves holds for every platform; pip is what most
machines have. Both read their own configuration: which index they ask is not edgefn's affair.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from edgefn.errors import EdgefnError

TIMEOUT_S: Final = 600.0
LOG_LINES: Final = 40
MAX_REASON: Final = 400
PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
PLATFORM: Final = sysconfig.get_platform().replace("-", "_")

_NETWORK: Final = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|SSLError|MaxRetryError"
    r"|Temporary failure in name resolution|Failed to fetch|error sending request"
    r"|network was disabled",
)
_HASH: Final = re.compile(
    r"DO NOT MATCH THE HASHES.*?\n +(?P<pip>\S+) from|Hash mismatch for `(?P<uv>[^`]+)`", re.DOTALL
)
_UNKNOWN: Final = re.compile(
    r"satisfies the requirement (?P<wanted>.+?) \(from versions: (?P<versions>.*)\)"
)
_NO_WHEEL: Final = re.compile(r"Because (?P<wanted>\S+) has no wheels with a matching")
_CONFLICT: Final = re.compile(r"^The conflict is caused by:$", re.MULTILINE)
_DEPENDS: Final = re.compile(r"^ +(?P<line>.+ (?:depends on|requested) .+)$", re.MULTILINE)
_UV_CAUSE: Final = re.compile(r"^ *(?:cause: |╰─▶ |And )(?P<line>.+)$", re.MULTILINE)


class InstallerFailed(EdgefnError):
    """pip or uv failed. `detail` has its last lines as `log`, and `log_of` says whose they are."""

    code = "environment_failed"


class IndexUnreachable(InstallerFailed):
    """There is no network, or no index where the configuration says."""


def uv() -> list[str] | None:
    """Returns the command that runs uv; None if it is not on the path."""
    found = shutil.which("uv")
    return [found] if found else None


def pip(python: Path | None = None) -> list[str]:
    """Returns the command that runs the pip of this environment.

    Args:
        python: The interpreter of the environment that it is to work on, which needs no pip of its
            own; None: this one.

    Raises:
        InstallerFailed: There is none, or one that is too old.
    """
    spec = find_spec("pip")
    if spec is None or spec.origin is None:
        raise InstallerFailed(
            f"neither uv nor pip is there to install what functions need: put uv on the path, or "
            f"run {sys.executable} -m ensurepip"
        )
    if python is None:
        return [sys.executable, "-P", "-m", "pip"]
    # What `pip --python` runs. That would leave a process behind when pip is killed.
    runner = Path(spec.origin).with_name("__pip-runner__.py")
    if not runner.exists():
        raise InstallerFailed(f"pip is too old: run {sys.executable} -m pip install -U pip")
    return [str(python), "-P", str(runner)]


def run(
    command: Sequence[str],
    *,
    before: Callable[[], None] | None = None,
    text: str = "",
) -> str:
    """Runs pip or uv and returns its standard output.

    Args:
        command: All of it.
        before: Called in the new process before the program starts.
        text: Its standard input.

    Raises:
        InstallerFailed: It failed; the message is one sentence.
    """
    settings = {**os.environ, "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            env=settings,
            preexec_fn=before,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InstallerFailed(f"it took more than {TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        said = f"{done.stdout}\n{done.stderr}"
        failure = IndexUnreachable if _NETWORK.search(said) else InstallerFailed
        log = said.strip().splitlines()[-LOG_LINES:]
        raise failure(explain(said), log=log, log_of="the installer")
    return done.stdout


def explain(output: str) -> str:
    """Returns in one sentence why pip or uv failed, given all that it wrote."""
    if found := _HASH.search(output):
        return (
            f"the file of {found['pip'] or found['uv']} has another SHA-256 than the lock says: it "
            "was changed, or damaged"
        )
    if "No space left on device" in output:
        return "the disk is full"
    if _CONFLICT.search(output):
        return _shortened("; ".join(dict.fromkeys(_DEPENDS.findall(output))))
    if _NETWORK.search(output):
        return "the package index cannot be reached"
    if found := _NO_WHEEL.search(output):
        return _not_there(found["wanted"], "none")
    if found := _UNKNOWN.search(output):
        return _not_there(found["wanted"], found["versions"])
    if causes := _UV_CAUSE.findall(output):
        return _shortened(" ".join(cause.strip() for cause in causes))
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return _shortened(lines[-1] if lines else "it said nothing")


def _not_there(wanted: str, versions: str) -> str:
    text = f"{wanted.replace('==', ' ')} has no wheel for {PLATFORM}, Python {PYTHON} on the index"
    if versions in ("", "none"):
        return f"{text}, in no version"
    return f"{text}; the newest that has one is {versions.rpartition(', ')[2]}"


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_REASON else f"{text[: MAX_REASON - 3]}..."
