"""Decides whether a variant is as good as its function demands.

With labels, a variant is refused whose mean score is lower than that of the models as given by more
than the function allows, on the same rows. What was seen decides, not what could be excluded: with
a hundred rows no test can exclude a drop of one point, and every variant would be refused; and a
drop that was seen is never explained away as chance. What the rows can show, the paired interval,
is part of every verdict.

Without labels the answers must be those of the models as given on all rows but the allowed share.
Where answers hold nothing but floats, the outputs must be `MIN_SNR_DB` above their noise.
"""

from dataclasses import dataclass
from typing import Final

from edgefn.compress.scores import Evaluation
from edgefn.compress.statistics import Drop, estimate, paired_drop

# Noise of a tenth of the outputs' amplitude. 8-bit weights and activations leave 30 to 45 dB if
# they are calibrated well; a ruined calibration leaves less than 10.
MIN_SNR_DB: Final = 20.0

_ROUNDING: Final = 1e-9  # 0.99 - 0.98 is more than 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate says of a variant.

    Attributes:
        accepted: Whether it may serve.
        reason: The numbers, in one line that names the variant.
        drop: Of the score, or of the agreement (from 1); None if outputs were compared.
    """

    accepted: bool
    reason: str
    drop: Drop | None = None


def judge(name: str, given: Evaluation, variant: Evaluation, max_drop: float) -> Verdict:
    """Judges a variant by what was found of it and of the models as given.

    Args:
        name: Of the variant.
        given: Of the models as given.
        variant: On the same rows.
        max_drop: That the function allows, as a share: 0.01 is one point.

    Raises:
        ValueError: The two are not of the same rows.
    """
    if given.scores is not None and variant.scores is not None:
        return _by_scores(name, given, variant, max_drop)
    if variant.agreement is not None:
        return _by_agreement(name, variant, max_drop)
    return _by_outputs(name, variant)


def _by_scores(name: str, given: Evaluation, variant: Evaluation, max_drop: float) -> Verdict:
    assert given.scores is not None and variant.scores is not None  # for the type checker
    drop = paired_drop(given.scores, variant.scores)
    found, before = float(variant.scores.mean()), float(given.scores.mean())
    accepted = drop.value <= max_drop + _ROUNDING
    return Verdict(
        accepted=accepted,
        drop=drop,
        reason=(
            f"{name} {_said(accepted)}: accuracy {found:.3f} against {before:.3f} "
            f"({_spell(drop)}; allowed {_points(max_drop)})"
        ),
    )


def _by_agreement(name: str, variant: Evaluation, max_drop: float) -> Verdict:
    assert variant.agreement is not None  # for the type checker
    equal = estimate(variant.agreement)
    drop = Drop(
        value=1 - equal.value, low=1 - equal.high, high=1 - equal.low, p=None, rows=equal.rows
    )
    accepted = drop.value <= max_drop + _ROUNDING
    return Verdict(
        accepted=accepted,
        drop=drop,
        reason=(
            f"{name} {_said(accepted)}: {equal.value:.1%} of {equal.rows} answers are those of the "
            f"model as given (95 % {equal.low:.1%} to {equal.high:.1%}; at least "
            f"{1 - max_drop:.1%} must be)"
        ),
    )


def _by_outputs(name: str, variant: Evaluation) -> Verdict:
    if variant.snr_db is None:
        return Verdict(
            accepted=False,
            reason=f"{name} refused: there are no labels, and nothing in the answers or the "
            "models' outputs can be compared; give labels or a metric",
        )
    accepted = variant.snr_db >= MIN_SNR_DB
    return Verdict(
        accepted=accepted,
        reason=(
            f"{name} {_said(accepted)}: its outputs are {variant.snr_db:.1f} dB above their noise "
            f"(at least {MIN_SNR_DB:g} dB must be)"
        ),
    )


def _said(accepted: bool) -> str:
    return "accepted" if accepted else "refused"


def _spell(drop: Drop) -> str:
    return f"drop {_points(drop.value)} points, 95 % {_points(drop.low)} to {_points(drop.high)}"


def _points(share: float) -> str:
    return f"{100 * share + 0.0:.1f}".replace("-0.0", "0.0")
