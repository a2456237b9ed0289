"""What a maker, which runs recipes, and the build that started it say to each other.

Over a Unix stream socket, as messages of `edgefn_runtime.lifecycle.pack`. Models and arrays go
through files.
"""

import msgspec

from edgefn.compress.recipe import Format


class Make(msgspec.Struct, frozen=True, kw_only=True, tag="make"):
    """Make a model by a recipe.

    Attributes:
        recipe: Its name.
        source: File of the model as given.
        format: Of that file.
        material: A file of runs (see `edgefn.compress.children.runs_file`).
        runs: That are in it.
        labels: Of the runs, as in `edgefn.compress.recipe.Material`.
        seed: For whatever is random.
        result: File to be written.
        file: That declares the function.
        student: A reference to a callable, relative to the folder of `file`; or empty.
    """

    recipe: str
    source: str
    format: Format
    material: str
    runs: int
    labels: list[int]
    seed: int
    result: str
    file: str
    student: str


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The file is written, unless there is a reason why not.

    Attributes:
        failure: The reason.
        is_final: Whether it would be the same the next time.
    """

    failure: str = ""
    is_final: bool = False
