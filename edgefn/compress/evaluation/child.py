"""Evaluates variants of one function: the process in which its code and data live.

    python -P -m edgefn.compress.evaluation.child <descriptor of a socket>

The user's code in it may print, hang, crash or exit; so answers go over the socket, and whoever
started it has to expect none. See `edgefn.compress.evaluation.messages`.
"""

from pathlib import Path

from edgefn.bundle.user_code import enter
from edgefn.compress.children.serving import Say, serve
from edgefn.compress.children.share import teller
from edgefn.compress.errors import InvalidData
from edgefn.compress.evaluation.messages import (
    Capture,
    Draw,
    FromEvaluator,
    Refused,
    ToEvaluator,
)
from edgefn.compress.evaluation.session import Session
from edgefn.errors import EdgefnError
from edgefn_runtime.tracebacks import describe, traceback_of


class _Answering:
    """Keeps the session that the first message begins."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._session: Session | None = None
        self._folder = ""

    def __call__(self, message: ToEvaluator) -> None:
        try:
            self._say(self._do(message))
        except EdgefnError as error:
            self._refuse(error, error.message, str(error.detail.get("traceback", "")))
        except Exception as error:  # the request's boundary: whatever the user's code raises
            self._refuse(error, describe(error))

    def _do(self, message: ToEvaluator) -> FromEvaluator:
        if isinstance(message, Draw):
            folder = Path(message.file).parent
            self._folder = str(folder)
            enter(folder)
            self._session = Session(message, teller(self._say))
            return self._session.drawn()
        if self._session is None:
            raise InvalidData("rows have to be drawn first")
        if isinstance(message, Capture):
            return self._session.capture(message)
        return self._session.evaluate(message)

    def _refuse(self, error: Exception, message: str, traceback: str = "") -> None:
        cause = error.__cause__ or error
        self._say(
            Refused(
                message=message,
                is_data=isinstance(error, InvalidData),
                # What is not the user's code at fault has no place of theirs to point to.
                traceback=traceback
                or ("" if isinstance(cause, EdgefnError) else traceback_of(cause, self._folder)),
            )
        )


if __name__ == "__main__":
    serve(ToEvaluator, _Answering)
