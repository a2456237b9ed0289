"""What an evaluation found of a variant, row by row."""

import msgspec

from edgefn.compress.evaluation.statistics import estimate
from edgefn_runtime.variant import Estimate


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, tag="evaluation"):
    """How a function does with one variant of its models, on the rows that are evaluated.

    Attributes:
        scores: Of each answer against its label, 0 to 1; None without labels.
        agreement: Of each row, whether the answer is that of the models as given, floats left out;
            None where answers hold nothing but floats.
        snr_db: Signal-to-noise ratio of the models' outputs, the models as given being the signal;
            of several outputs the worst. Infinite if they are equal bit for bit; None if there are
            no outputs of floats to compare.
    """

    scores: list[float] | None
    agreement: list[bool] | None
    snr_db: float | None

    @property
    def accuracy(self) -> Estimate | None:
        """The mean score; None without labels."""
        return None if self.scores is None else estimate(self.scores)

    @property
    def agreeing(self) -> Estimate | None:
        """The share of rows that are answered as with the models as given."""
        return None if self.agreement is None else estimate(self.agreement)
