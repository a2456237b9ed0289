"""Other people's tools: whether they are installed, in which version, and how they are called.

What they print goes to the log, and they fail in one way.
"""

import contextlib
import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, TextIO, cast

from edgefn.compress.recipe import RecipeFailed

_log = logging.getLogger(__name__)
_LONGEST_REASON = 200


def missing_extra(extra: str, modules: Iterable[str]) -> str:
    """Returns what to install if one of the modules is not importable, in one line, or nothing."""
    if all(find_spec(module) is not None for module in modules):
        return ""
    return f"needs the extra {extra!r}: pip install 'edgefn[{extra}]'"


def versions(packages: Iterable[str]) -> str:
    """Returns distributions with their installed versions, as in `numpy-2.1,onnx-none`."""
    return ",".join(f"{package}-{_version(package)}" for package in packages)


def silence_telemetry() -> None:
    """Keeps ONNX Runtime, which tools import, from sending usage data; before it is imported."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


@contextlib.contextmanager
def calling(tool: str) -> Iterator[None]:
    """Keeps a tool quiet: what it prints goes to the log (level DEBUG). One at a time in a process.

    Args:
        tool: Its name, for messages.

    Raises:
        RecipeFailed: The tool raised, whatever it was.
    """
    printed = io.StringIO()
    root, guard = logging.getLogger(), logging.NullHandler()
    # logging.warning() and the like install a handler where there is none; this one prevents it.
    root.addHandler(guard)
    silence_telemetry()
    try:
        with (
            contextlib.redirect_stdout(_of_this_thread(sys.stdout, printed)),
            contextlib.redirect_stderr(_of_this_thread(sys.stderr, printed)),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    except RecipeFailed:
        raise
    except Exception as error:  # such tools raise anything, AttributeError included
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_REASON]
        raise RecipeFailed(f"{tool} fails on this model: {reason}") from error
    finally:
        root.removeHandler(guard)
        for line in printed.getvalue().splitlines():
            _log.debug("%s: %s", tool, line)


class _Diverted:
    """A stream of which what one thread writes goes elsewhere: others may draw a progress bar."""

    def __init__(self, stream: TextIO, elsewhere: io.StringIO) -> None:
        self._stream = stream
        self._elsewhere = elsewhere
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        """Writes to either."""
        own = threading.get_ident() == self._thread
        return (self._elsewhere if own else self._stream).write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _of_this_thread(stream: TextIO, elsewhere: io.StringIO) -> TextIO:
    return cast(TextIO, _Diverted(stream, elsewhere))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
