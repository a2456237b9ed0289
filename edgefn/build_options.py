"""What a declaration says to `edgefn build`, and to nobody else."""

from typing import Final

import msgspec

# A variant may lose one point of accuracy unless the function says otherwise: what the literature
# promises of 8-bit weights (Krishnamoorthi 2018, arXiv:1806.08342) with care.
MAX_ACCURACY_DROP: Final = 0.01


class BuildOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a function's models are compressed and judged.

    References are `file.py:name`, the file relative to the function's folder, the name a callable
    in it that takes no arguments (a metric takes two).

    Attributes:
        evaluate: Yields `inputs`, or `(inputs, label)`. `inputs` maps the function's parameters to
            the values of one call. A label that is a mapping is compared with the fields of the
            answer that it names; any other with the whole answer.
        calibrate: Yields inputs that are not evaluated on, for calibration and fine-tuning; empty:
            a quarter of what `evaluate` yields is set aside.
        metric: Takes an answer and its label and returns the score of that one row, 0 to 1; empty:
            1 if they are equal, else 0.
        student: Returns a smaller, untrained `torch.nn.Module` to distil the model into.
        max_accuracy_drop: A variant that is worse by more than this is refused.
    """

    evaluate: str = ""
    calibrate: str = ""
    metric: str = ""
    student: str = ""
    max_accuracy_drop: float = MAX_ACCURACY_DROP
