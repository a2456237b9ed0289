"""What is said of an exception of the user's code: to the caller a line, to the developer more."""

import traceback
from collections.abc import Sequence
from itertools import dropwhile
from typing import Final

MAX_LINE_CHARS: Final = 2000
MAX_TRACEBACK_CHARS: Final = 32_768


def describe(error: BaseException) -> str:
    """Returns an exception's type and message: never where, and never too much."""
    name, text = type(error).__name__, text_of(error)
    return f"{name}: {text}" if text else name


def text_of(message: object) -> str:
    """Returns a message as text that can be encoded, cut to `MAX_LINE_CHARS`."""
    try:
        text = str(message)
    except Exception:  # an exception is the user's, and so is its __str__
        return ""
    return _encodable(text if len(text) <= MAX_LINE_CHARS else text[:MAX_LINE_CHARS] + "...")


def traceback_of(error: BaseException, root: str, *, without: Sequence[str] = ()) -> str:
    """Returns a traceback that starts at the first frame of a file below `root`.

    So do those of its causes. It keeps its end, where the error itself is, if it is longer than
    `MAX_TRACEBACK_CHARS`.

    Args:
        error: That was raised.
        root: Folder of the user's code.
        without: Folders whose frames are left out wherever they are.
    """
    whole = traceback.TracebackException.from_exception(error)
    link: traceback.TracebackException | None = whole
    while link is not None:
        frames = dropwhile(lambda frame: not frame.filename.startswith(root), link.stack)
        kept = [frame for frame in frames if not frame.filename.startswith(tuple(without))]
        link.stack = traceback.StackSummary.from_list(kept)
        link = link.__cause__ or link.__context__
    text = "".join(whole.format())
    if len(text) > MAX_TRACEBACK_CHARS:
        text = "...\n" + text[-MAX_TRACEBACK_CHARS:]
    return _encodable(text)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
