"""What can go wrong while variants are made and evaluated, beside a recipe (see `recipe`)."""

from edgefn.errors import EdgefnError


class InvalidData(EdgefnError):
    """The data, labels or metric of a function are not what they must be; its developer's to mend.

    `detail` may have the `traceback` of the developer's code and what it printed as `log`.
    """

    code = "invalid_data"


class EvaluationFailed(EdgefnError):
    """A function fails with a variant: it raises, crashes or hangs. The variant is refused."""

    code = "evaluation_failed"


class ExportFailed(EdgefnError):
    """A model cannot be exported to ONNX, or answers otherwise there; says why and what to do."""

    code = "export_failed"
