"""What an evaluator, which runs the user's code, and the build that started it say to each other.

Over a Unix stream socket, as messages of `edgefn_runtime.lifecycle.pack`. Arrays go through files
in a folder that the build names.
"""

import msgspec

from edgefn.build_options import BuildOptions
from edgefn.compress.evaluation.result import Evaluation


class Draw(msgspec.Struct, frozen=True, kw_only=True, tag="draw"):
    """The first message: import the function and draw its rows.

    Attributes:
        file: The declaring file.
        attribute: The function's name in it.
        options: What it declares.
        data: A reference like `options.evaluate` that takes its place, the file absolute; or empty.
        rows: To be drawn at most of each of evaluate and calibrate.
    """

    file: str
    attribute: str
    options: BuildOptions
    data: str
    rows: int


class Capture(msgspec.Struct, frozen=True, kw_only=True, tag="capture"):
    """Run the calibration rows, one a run; write what goes into and comes out of each model.

    Attributes:
        folder: Gets one `<parameter>.npz` a model (see `edgefn.compress.children.runs_file`).
    """

    folder: str


class Evaluate(msgspec.Struct, frozen=True, kw_only=True, tag="evaluate"):
    """Run the evaluation rows with these models; with none, with those as given."""

    models: dict[str, str] = {}


class Drawn(msgspec.Struct, frozen=True, kw_only=True, tag="drawn"):
    """The rows are there.

    Attributes:
        digest: SHA-256 over all rows and labels, and over which are for calibration.
        rows: That are evaluated.
        calibration_rows: That are not.
        labelled: Whether rows have labels.
    """

    digest: str
    rows: int
    calibration_rows: int
    labelled: bool


class CapturedRuns(msgspec.Struct, frozen=True, kw_only=True, tag="captured"):
    """The files are written.

    Attributes:
        runs: How many of each model are in them.
        labels: Of each run of a model the class that its row's label means; empty if that is not
            clear.
    """

    runs: dict[str, int]
    labels: dict[str, list[int]]


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """It could not be done.

    Attributes:
        message: Why, for people.
        is_data: Whether the data, labels or metric are at fault, and not the variant.
        traceback: Of the user's code.
    """

    message: str
    is_data: bool
    traceback: str = ""


ToEvaluator = Draw | Capture | Evaluate
FromEvaluator = Drawn | CapturedRuns | Evaluation | Refused
