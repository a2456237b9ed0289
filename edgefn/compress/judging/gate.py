"""Decides whether a variant is as good as its function demands.

With labels, a variant is refused whose mean score is lower than that of the models as given by more
than the function allows, on the same rows. What was seen decides, not what could be excluded: with
a hundred rows no test can exclude a drop of one point, and every variant would be refused; and a
drop that was seen is never explained away as chance. What the rows can show, the paired interval,
is part of every verdict.

Without labels the answers must be those of the models as given on all rows but the allowed share.
Where answers hold nothing but floats, the outputs must be `MIN_SNR_DB` above their noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edgefn.compress.evaluation.result import Evaluation
from edgefn.compress.evaluation.statistics import Drop, estimate, paired_drop

# Noise of a tenth of the outputs' amplitude. 8-bit weights and activations leave 30 to 45 dB if
# they are calibrated well; a ruined calibration leaves less than 10.
MIN_SNR_DB: Final = 20.0

_ROUNDING: Final = 1e-9  # 0.99 - 0.98 is more than 0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of a variant.

    Attributes:
        accepted: Whether it may serve.
        reason: The numbers, in one line.
    """

    accepted: bool
    reason: str


def judge(given: Evaluation, variant: Evaluation, max_drop: float) -> Verdict:
    """Judges a variant by what was found of it and of the models as given.

    Args:
        given: Of the models as given.
        variant: On the same rows.
        max_drop: That the function allows, as a share: 0.01 is one point.

    Raises:
        ValueError: The two are not of the same rows.
    """
    if given.scores is not None and variant.scores is not None:
        return _by_scores(given.scores, variant.scores, max_drop)
    if variant.agreement is not None:
        return _by_agreement(variant.agreement, max_drop)
    return _by_outputs(variant.snr_db)


def _by_scores(given: Sequence[float], variant: Sequence[float], max_drop: float) -> Verdict:
    drop = paired_drop(given, variant)
    found, before = (sum(scores) / len(scores) for scores in (variant, given))
    return Verdict(
        drop.value <= max_drop + _ROUNDING,
        f"accuracy {found:.3f} against {before:.3f} ({_spell(drop)}; allowed {_points(max_drop)})",
    )


def _by_agreement(agreement: Sequence[bool], max_drop: float) -> Verdict:
    equal = estimate(agreement)
    return Verdict(
        1 - equal.value <= max_drop + _ROUNDING,
        f"{equal.value:.1%} of {equal.rows} answers are those of the model as given (95 % "
        f"{equal.low:.1%} to {equal.high:.1%}; at least {1 - max_drop:.1%} must be)",
    )


def _by_outputs(snr_db: float | None) -> Verdict:
    if snr_db is None:
        return Verdict(
            False,
            "there are no labels, and nothing in the answers or the models' outputs can be "
            "compared; give labels or a metric",
        )
    return Verdict(
        snr_db >= MIN_SNR_DB,
        f"its outputs are {snr_db:.1f} dB above their noise (at least {MIN_SNR_DB:g} dB must be)",
    )


def _spell(drop: Drop) -> str:
    told = f"drop {_points(drop.value)} points, 95 % {_points(drop.low)} to {_points(drop.high)}"
    if drop.p is None:
        return told
    return f"{told}, p < 0.0001" if drop.p < 0.0001 else f"{told}, p = {drop.p:.2g}"


def _points(share: float) -> str:
    return f"{100 * share + 0.0:.1f}".replace("-0.0", "0.0")
