"""The environment that the converter's tools run in: where it is, and how it is made."""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edgefn.compress.converter import program
from edgefn.config import cache_folder
from edgefn.errors import EdgefnError

HERE: Final = Path(__file__).parent
TOOL: Final = HERE / "tool.py"
MISSING: Final = (
    "needs the LiteRT converter: edgefn build --get-tools installs it "
    "(0.4 GB, in an environment of its own)"
)
_LOCK: Final = HERE / "lock.txt"
_INSTALL_TIMEOUT_S: Final = 1800.0
_TEST_TIMEOUT_S: Final = 300.0
# Shares of the whole, for progress: the empty environment, what is downloaded, what is unpacked.
_CREATED, _COLLECTED, _INSTALLED = 0.05, 0.7, 0.95


class ConverterNotInstalled(EdgefnError):
    """The converter's environment could not be made; says why."""

    code = "extra_missing"


def digest() -> str:
    """Returns what the tools' results depend on: their locked versions, and Python's."""
    made_of = _LOCK.read_bytes() + str(sys.implementation.cache_tag).encode()
    return hashlib.sha256(made_of).hexdigest()[:12]


def installed() -> Path | None:
    """Returns the Python that runs the tools, or None if they are not installed."""
    python = _python(_folder())
    return python if python.exists() else None


def ensure(on_progress: Callable[[float], None] = lambda share: None) -> Path:
    """Installs the tools unless they are there; several processes may do so at once.

    Args:
        on_progress: Called with the share of the work that is done, 0 to 1.

    Returns:
        The Python that runs them.

    Raises:
        ConverterNotInstalled: No network, no space, or no build of a tool for this machine.
    """
    folder = _folder()
    with _locked(folder):
        if (python := installed()) is None:
            try:
                _make(folder, on_progress)
            except (program.Failed, OSError) as error:
                raise ConverterNotInstalled(
                    f"the LiteRT converter could not be installed in {folder}: {error}"
                ) from error
            python = _python(folder)
    on_progress(1.0)
    return python


def _folder() -> Path:
    return cache_folder(os.environ) / f"converter-{digest()}"


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = folder.with_suffix(".lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        raise ConverterNotInstalled(
            f"no place for the LiteRT converter in {folder.parent}: {error}; "
            "XDG_CACHE_HOME chooses another"
        ) from error
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(folder: Path, on_progress: Callable[[float], None]) -> None:
    """Makes the environment beside its place, and moves it there when a test has passed."""
    for old in (folder, *folder.parent.glob(f"{folder.name}.*-partial")):
        shutil.rmtree(old, ignore_errors=True)  # of a process that was killed, or a removed Python
    partial = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix="-partial", dir=folder.parent))
    try:
        # An own pip would take five seconds and 20 MB, and be used once.
        borrowed = importlib.util.find_spec("pip") is not None
        venv.create(partial, with_pip=not borrowed, symlinks=True)
        on_progress(_CREATED)
        _install(partial, borrowed, on_progress)
        on_progress(_INSTALLED)
        program.run(
            [_python(partial), "-I", TOOL, "--self-test"], folder=partial, timeout_s=_TEST_TIMEOUT_S
        )
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _install(folder: Path, borrowed: bool, on_progress: Callable[[float], None]) -> None:
    count = sum(1 for line in _LOCK.read_text().splitlines() if "==" in line)
    seen = 0

    def on_line(line: str) -> None:
        nonlocal seen
        if line.startswith(("Collecting ", "Processing ")):
            seen += 1
            on_progress(_CREATED + (_COLLECTED - _CREATED) * min(seen / count, 1.0))

    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", _python(folder)]
    if not borrowed:
        pip = [_python(folder), "-m", "pip"]
    # onnx2tf pins the versions of all that it uses, and Python 3.12; it works with these ones, on
    # 3.11 too, as the self-test shows.
    flags = ["--no-deps", "--ignore-requires-python", "--only-binary", ":all:", "--require-hashes"]
    program.run(
        [*pip, "install", "--no-input", *flags, "-r", _LOCK],
        folder=folder,
        timeout_s=_INSTALL_TIMEOUT_S,
        network=True,
        on_line=on_line,
    )
