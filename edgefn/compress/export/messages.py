"""What an exporter, which runs the user's code, and whoever started it say to each other.

Over a Unix stream socket, as messages of `edgefn_runtime.lifecycle.pack`.
"""

import msgspec


class Export(msgspec.Struct, frozen=True, kw_only=True, tag="export"):
    """Export a model.

    Attributes:
        file: That has the callables.
        model: Name of the one that returns the model.
        examples: Name of the one that returns an array an input, or one array for a single input.
        result: File to be written.
    """

    file: str
    model: str
    examples: str
    result: str


class Exported(msgspec.Struct, frozen=True, kw_only=True, tag="exported"):
    """The file is written, unless there is a reason why not; then with the user's traceback."""

    failure: str = ""
    traceback: str = ""
