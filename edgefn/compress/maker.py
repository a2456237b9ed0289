"""Makes models by recipes: the process in which other people's tools and a student's code run.

    python -P -m edgefn.compress.maker <descriptor of a socket>

Tools crash on odd models, print, and leave their settings behind; here that is nobody's trouble.
"""

import functools
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edgefn.compress.maker_messages import Finished, FromMaker, Make, Share
from edgefn.compress.material_file import read_material
from edgefn.compress.recipe import Recipe, RecipeFailed, Source, by_name
from edgefn.compress.recipes import all_recipes
from edgefn.compress.references import References
from edgefn.errors import EdgefnError
from edgefn_runtime.lifecycle import MessageReader, pack
from edgefn_runtime.loader import import_file
from edgefn_runtime.process import die_with
from edgefn_runtime.tracebacks import describe

_READ_BYTES: Final = 1 << 16
_SHARE_S: Final = 0.1


class _Teller:
    """Tells the build how far a recipe is, not too often."""

    def __init__(self, build: socket.socket) -> None:
        self._build = build
        self._told_s = 0.0

    def say(self, message: FromMaker) -> None:
        self._build.sendall(pack(message))

    def share(self, done: float) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s >= _SHARE_S:
            self._told_s = now_s
            self.say(Share(done))


def make(asked: Make, on_progress: Callable[[float], None]) -> Finished:
    """Does what a message asks for."""
    try:
        recipe = _recipes(asked.file, asked.student)[asked.recipe]
        source = Source(data=Path(asked.source).read_bytes(), format=asked.format)
        material = read_material(Path(asked.material), asked.runs, asked.seed, on_progress)
        Path(asked.result).write_bytes(recipe.make(source, material))
    except RecipeFailed as error:
        return Finished(error.message, is_final=True)
    except EdgefnError as error:
        return Finished(error.message)
    except Exception as error:  # the request's boundary: a recipe that fails is one variant less
        return Finished(f"the recipe fails: {describe(error)}")
    return Finished()


@functools.cache  # recipes remember what others build on: a conversion, a network just trained
def _recipes(file: str, student: str) -> dict[str, Recipe]:
    return by_name(all_recipes(_student(Path(file), student) if student else None))


def _student(file: Path, reference: str) -> Callable[[], Any]:
    """Returns what makes a student; its code is imported only if a recipe wants one."""

    def student() -> Any:
        sys.path.insert(0, str(file.parent))
        sys.dont_write_bytecode = True
        os.chdir(file.parent)
        return References(import_file(file), file).find(reference, "student")()

    return student


def main() -> None:
    """Serves the socket whose descriptor is the first argument."""
    die_with(os.getppid())
    build = socket.socket(fileno=int(sys.argv[1]))
    build.set_inheritable(False)
    teller = _Teller(build)
    reader = MessageReader(Make)
    while data := build.recv(_READ_BYTES):
        for asked in reader.feed(data):
            teller.say(make(asked, teller.share))
    os._exit(0)  # a thread that a tool or the student's code started may never end


if __name__ == "__main__":
    main()
