"""The inside of a build's child process: messages come over a socket, answers go back."""

import contextlib
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

import msgspec

from edgefn_runtime.lifecycle import MessageReader, pack
from edgefn_runtime.process import die_with

_READ_BYTES: Final = 1 << 16

Say = Callable[[msgspec.Struct], None]


def serve(kind: Any, answering: Callable[[Say], Callable[[Any], None]]) -> NoReturn:
    """Answers messages until the build closes its end of the socket, and ends the process.

    The descriptor of the socket is the first argument of the command line (see
    `edgefn.compress.children.process`).

    Args:
        kind: Of the messages that the build sends.
        answering: Given what sends a message to the build, returns what answers one of the build's.
    """
    die_with(os.getppid())
    build = socket.socket(fileno=int(sys.argv[1]))
    build.set_inheritable(False)  # the user's code may start processes

    def say(message: msgspec.Struct) -> None:
        # First what the user's code has printed: the build may end this process at the message.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # whatever that code has put there
                stream.flush()
        build.sendall(pack(message))

    answer = answering(say)
    reader = MessageReader(kind)
    while data := build.recv(_READ_BYTES):
        for message in reader.feed(data):
            answer(message)
    os._exit(0)  # a thread that somebody's code started may never end
