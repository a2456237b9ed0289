"""Makes models by recipes: the process in which other people's tools and a student's code run.

    python -P -m edgefn.compress.making.child <descriptor of a socket>

Tools crash on odd models, print, and leave their settings behind; here that is nobody's trouble.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgefn.bundle.user_code import enter
from edgefn.compress.children.runs_file import read_runs
from edgefn.compress.children.serving import Say, serve
from edgefn.compress.children.share import teller
from edgefn.compress.children.user_code import References, guilty_line
from edgefn.compress.making.messages import Finished, Make
from edgefn.compress.progress import OnShare
from edgefn.compress.recipe import Material, Recipe, RecipeFailed, Source, by_name
from edgefn.compress.recipes import all_recipes
from edgefn.errors import EdgefnError
from edgefn_runtime.loader import import_file
from edgefn_runtime.tracebacks import describe


def answering(say: Say) -> Callable[[Make], None]:
    """Returns what makes models, and says what came of it."""
    tell = teller(say)
    return lambda asked: say(make(asked, tell))


def make(asked: Make, on_progress: OnShare) -> Finished:
    """Does what a message asks for."""
    try:
        recipe = _recipes(asked.file, asked.student)[asked.recipe]
        source = Source(data=Path(asked.source).read_bytes(), format=asked.format)
        rows, outputs = read_runs(Path(asked.material), asked.runs)
        material = Material(
            rows=rows,
            outputs=outputs,
            labels=asked.labels,
            seed=asked.seed,
            on_progress=on_progress,
        )
        Path(asked.result).write_bytes(recipe.make(source, material))
    except RecipeFailed as error:
        told = _blaming(asked, error, error.message)
        return Finished(told, is_final=told == error.message)
    except EdgefnError as error:
        return Finished(_blaming(asked, error, error.message))
    except Exception as error:  # the request's boundary: a recipe that fails is one variant less
        return Finished(_blaming(asked, error, f"the recipe fails: {describe(error)}"))
    return Finished()


def _blaming(asked: Make, error: Exception, message: str) -> str:
    """Returns a message that puts the blame on the student if its code raised."""
    cause = error.__cause__ or error
    line = guilty_line(cause, Path(asked.file).parent) if asked.student else ""
    if not line:
        return message
    told = message if message.startswith("student=") else f"student= raises {describe(cause)}"
    return f"{told} ({line})"


@functools.cache  # recipes remember what others build on: a conversion, a network just trained
def _recipes(file: str, student: str) -> dict[str, Recipe]:
    return by_name(all_recipes(_student(Path(file), student) if student else None))


def _student(file: Path, reference: str) -> Callable[[], Any]:
    """Returns what makes a student; its code is imported only if a recipe wants one."""

    def student() -> Any:
        enter(file.parent)
        return References(import_file(file), file).find(reference, "student")()

    return student


if __name__ == "__main__":
    serve(Make, answering)
