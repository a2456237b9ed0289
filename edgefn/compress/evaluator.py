"""Evaluates variants of one function: the process in which its code and data live.

    python -P -m edgefn.compress.evaluator <descriptor of a socket>

The user's code in it may print, hang, crash or exit; so answers go over the socket, and whoever
started it has to expect none. See `edgefn.compress.exchange`.
"""

import os
import socket
import sys
from pathlib import Path
from typing import Final

from edgefn.compress.errors import InvalidData
from edgefn.compress.exchange import Capture, Draw, FromEvaluator, Refused, ToEvaluator
from edgefn.compress.session import Session
from edgefn.errors import EdgefnError
from edgefn_runtime.lifecycle import MessageReader, pack
from edgefn_runtime.process import die_with
from edgefn_runtime.tracebacks import describe, traceback_of

_READ_BYTES: Final = 1 << 16


def serve(build: socket.socket) -> None:
    """Answers the messages of the build until its end of the socket is closed."""
    reader = MessageReader(ToEvaluator)
    evaluator = _Evaluator(build)
    while data := build.recv(_READ_BYTES):
        for message in reader.feed(data):
            evaluator.answer(message)


class _Evaluator:
    def __init__(self, build: socket.socket) -> None:
        self._build = build
        self._session: Session | None = None
        self._folder = ""

    def answer(self, message: ToEvaluator) -> None:
        try:
            self._say(self._do(message))
        except EdgefnError as error:
            self._refuse(error, error.message, str(error.detail.get("traceback", "")))
        except Exception as error:
            self._refuse(error, describe(error))

    def _do(self, message: ToEvaluator) -> FromEvaluator:
        if isinstance(message, Draw):
            self._folder = _enter(message)
            self._session = Session(message, self._say)
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

    def _say(self, message: FromEvaluator) -> None:
        self._build.sendall(pack(message))


def _enter(asked: Draw) -> str:
    """Makes the function's folder the working directory and the first place of imports."""
    folder = str(Path(asked.file).parent)
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    os.chdir(folder)
    return folder


def main() -> None:
    """Serves the socket whose descriptor is the first argument."""
    die_with(os.getppid())
    build = socket.socket(fileno=int(sys.argv[1]))
    build.set_inheritable(False)  # the user's code may start processes
    serve(build)
    os._exit(0)  # a thread that the user's code started may never end


if __name__ == "__main__":
    main()
