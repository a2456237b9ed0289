"""Runs a program to its end, and never leaves it behind."""

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

_LAST_LINES: Final = 12
_LONGEST_LINE: Final = 300
# What a tool may know of the user's environment: no secrets, no settings that change a result.
_KEPT: Final = ("HOME", "LANG", "PATH", "TMPDIR", "XDG_CACHE_HOME")
_PREFIXES_FOR_NETWORK: Final = ("PIP_", "SSL_", "HTTP_", "HTTPS_", "NO_PROXY", "REQUESTS_")


class Failed(Exception):
    """The program ended badly or too late; the message has the last lines that it printed."""


def run(
    command: Sequence[str | Path],
    *,
    folder: Path,
    timeout_s: float,
    network: bool = False,
    on_line: Callable[[str], None] = lambda line: None,
) -> None:
    """Runs a program in a process group of its own until it ends.

    Args:
        command: The program and its arguments.
        folder: That it runs in.
        timeout_s: After which it is killed, with all that it started.
        network: Whether it is given the user's settings of package indices and proxies.
        on_line: Called with each line that it prints.

    Raises:
        Failed: It could not be started, exited with another code than 0, or took too long.
    """
    last: deque[str] = deque(maxlen=_LAST_LINES)
    child = _started(command, folder, network)
    expired = threading.Event()

    def end() -> None:
        expired.set()
        _kill(child)

    timer = threading.Timer(timeout_s, end)
    timer.start()
    try:
        assert child.stdout is not None  # it is a pipe
        for line in child.stdout:
            last.append(line.rstrip()[:_LONGEST_LINE])
            on_line(line)
        code = child.wait()
    finally:  # interruption included
        timer.cancel()
        _kill(child)
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                stream.close()
    if expired.is_set():
        raise Failed(f"it took longer than {timeout_s:g} s\n{_text(last)}")
    if code:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise Failed(f"it ended with {how}\n{_text(last)}")


def _started(command: Sequence[str | Path], folder: Path, network: bool) -> "subprocess.Popen[str]":
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(network),
            stdin=subprocess.PIPE,  # ends when this process does, however it does
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise Failed(f"{command[0]} cannot be started: {error}") from error


def _text(lines: deque[str]) -> str:
    return "\n".join(line for line in lines if line.strip())


def _kill(child: "subprocess.Popen[str]") -> None:
    # Its id stays its own until it has been waited for; then nothing of it is left to be killed.
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _environment(network: bool) -> dict[str, str]:
    given = os.environ
    kept = {name: given[name] for name in _KEPT if name in given}
    if network:
        kept |= {
            name: value
            for name, value in given.items()
            if name.upper().startswith(_PREFIXES_FOR_NETWORK)
        }
    quiet = {
        "OMP_NUM_THREADS": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "TQDM_DISABLE": "1",
    }
    return kept | quiet
