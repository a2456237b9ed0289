"""What went into a function's models, and came out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgefn.compress.recipe import Row

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """Runs of the models as given on the calibration rows; and of what data they are.

    Attributes:
        inputs: By parameter, of each run the inputs by name, as the function passed them. One row
            of data is one call of the function; the first runs only, if they take much memory.
        outputs: By parameter, of each of these runs the outputs.
        labels: By parameter, of each of these runs the class that is right, by its place in the
            first output; empty if that is not known.
        data_digest: SHA-256 over all rows and labels, and over which are for calibration.
        rows: How many there are to evaluate on.
        calibration_rows: How many there are beside these.
        labelled: Whether rows have labels.
    """

    inputs: Mapping[str, Sequence[Row]]
    outputs: Mapping[str, Sequence[Sequence[Array]]]
    labels: Mapping[str, Sequence[int]]
    data_digest: str
    rows: int
    calibration_rows: int
    labelled: bool
