"""What is said of an exception of the user's code: to the caller a line, to the developer more."""

import traceback
from types import TracebackType
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


def traceback_of(error: BaseException, root: str) -> str:
    """Returns a traceback that starts at the first frame of a file below `root`.

    It keeps its end, where the cause is, if it is longer than `MAX_TRACEBACK_CHARS`.
    """
    frames: TracebackType | None = error.__traceback__
    while frames is not None and not frames.tb_frame.f_code.co_filename.startswith(root):
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames))
    if len(text) > MAX_TRACEBACK_CHARS:
        text = "...\n" + text[-MAX_TRACEBACK_CHARS:]
    return _encodable(text)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
