"""A box in a process of its own, in the background.

    python -P -m edgefn.cli.box_process <JSON of a Launch> <file descriptor>

The process writes its URL to the descriptor once calls are accepted, and closes it; if it ends
before that, the descriptor closes with it.
"""

import os
import select
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgspec

from edgefn.box import BoxConfig, run_box
from edgefn.errors import ConfigError, EdgefnError, StateLocked
from edgefn_runtime.process import die_with

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 30.0
LOG_FILE: Final = "box.log"
_SHOWN_BYTES: Final = 2000
_ERRORS: Final = {2: ConfigError, 3: StateLocked}


class Launch(msgspec.Struct, frozen=True):
    """What the process is told. `parent`: it dies with this process; 0: it outlives it."""

    config: BoxConfig
    parent: int


class StartingBox:
    """A box whose process was started and may not accept calls yet.

    Make it on the main thread: a box that does not outlive its parent dies with that thread.

    Args:
        config: Of the box. Its output goes to `box.log`.
        outlives: Whether it goes on when this process ends.
        environ: Of its process; default: that of this one.

    Attributes:
        process: Of the box.
    """

    def __init__(
        self, config: BoxConfig, *, outlives: bool, environ: Mapping[str, str] | None = None
    ) -> None:
        config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log_path = config.state_dir / LOG_FILE
        launch = _encode(Launch(config, 0 if outlives else os.getpid()))
        readable, writable = os.pipe()
        self._ready = os.fdopen(readable, "rb")  # closed by `url`
        with open(self._log_path, "ab") as log:
            self._begin = log.tell()
            command = [sys.executable, "-P", "-m", "edgefn.cli.box_process", launch]
            self.process = subprocess.Popen(
                [*command, str(writable)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(writable,),
                start_new_session=True,  # a Ctrl-C here is not for the box
                cwd="/",
                env=environ,
            )
        os.close(writable)

    def url(self) -> str:
        """Returns where the box answers, as soon as it accepts calls; ask once.

        Raises:
            ConfigError: Its configuration does not do.
            StateLocked: Another box uses the state directory.
            EdgefnError: It did not start; the message has the end of its output.
        """
        process = self.process
        with self._ready as ready:
            try:
                has_said, _, _ = select.select([ready], [], [], START_TIMEOUT_S)
            except KeyboardInterrupt:
                process.terminate()
                raise
            url = ready.read().decode() if has_said else ""
        if not has_said:
            process.kill()
            process.wait()
            raise EdgefnError(
                f"the box was not ready within {START_TIMEOUT_S:g} s; see {self._log_path}"
            )
        if not url:
            raise _ended(process.wait(STOP_TIMEOUT_S), self._log_path, self._begin)
        return url


class BoxProcess:
    """A box that was started here and accepts calls.

    Attributes:
        pid: Of the box.
        url: Where it answers.
    """

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self._process = process
        self.pid = process.pid
        self.url = url

    @classmethod
    def start(cls, config: BoxConfig, *, outlives: bool) -> Self:
        """Starts a box, and returns when it accepts calls. Its output goes to `box.log`.

        Args:
            config: Of the box.
            outlives: Whether it goes on when this process ends.

        Raises:
            ConfigError: Its configuration does not do.
            StateLocked: Another box uses the state directory.
            EdgefnError: It did not start; the message has the end of its output.
        """
        starting = StartingBox(config, outlives=outlives)
        return cls(starting.process, starting.url())

    def exit_code(self) -> int | None:
        """Returns how the box ended, or None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Lets the box answer what is under way and end; ends it in any case."""
        stop(self._process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Lets a box answer what is under way and end; ends it in any case."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _encode(launch: Launch) -> str:
    return msgspec.json.encode(launch, enc_hook=str).decode()  # the hook is for paths


def _decode(text: str) -> Launch:
    return msgspec.json.decode(text, type=Launch, dec_hook=lambda kind, value: kind(value))


def _ended(code: int, log: Path, begin: int) -> EdgefnError:
    """Returns the error of a box that ended before it was ready, in its own words."""
    with log.open("rb") as file:
        file.seek(begin)
        said = file.read().decode(errors="replace")[-_SHOWN_BYTES:].strip()
    kind = _ERRORS.get(code)
    if kind is not None:
        return kind(said.removeprefix("edgefn: "))
    return EdgefnError(f"the box ended with exit status {code}: {said or 'it said nothing'}")


def main() -> None:
    """Runs the box of the first argument, and tells the second when it is ready."""
    launch = _decode(sys.argv[1])
    if launch.parent:
        die_with(launch.parent)

    def on_ready(url: str) -> None:
        # Who started it may be gone by now, which is no reason for it not to go on.
        with suppress(BrokenPipeError), os.fdopen(int(sys.argv[2]), "wb") as ready:
            ready.write(url.encode())

    sys.exit(run_box(launch.config, on_ready))


if __name__ == "__main__":
    main()
