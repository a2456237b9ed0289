"""What the gate lets through."""

import math

from edgefn.compress.evaluation.result import Evaluation
from edgefn.compress.judging.gate import judge


def first(count: int, rows: int) -> list[bool]:
    return [row < count for row in range(rows)]


def scored(right: int, rows: int = 1000) -> Evaluation:
    return Evaluation(scores=first(right, rows), agreement=None, snr_db=30.0)


def unlabelled(equal: int | None, snr_db: float | None, rows: int = 1000) -> Evaluation:
    agreement = None if equal is None else first(equal, rows)
    return Evaluation(scores=None, agreement=agreement, snr_db=snr_db)


def test_a_drop_beyond_what_is_allowed_is_refused_with_the_numbers():
    """The message says all that there is to say."""
    verdict = judge(scored(974), scored(412), 0.01)
    assert not verdict.accepted
    assert verdict.reason.startswith("accuracy 0.412 against 0.974 (drop 56.2 points, 95 % 5")
    assert verdict.reason.endswith(", p < 0.0001; allowed 1.0)")


def test_a_drop_of_just_what_is_allowed_is_accepted():
    """Ten rows of a thousand are one point, however floats round."""
    assert judge(scored(990), scored(980), 0.01).accepted
    assert not judge(scored(990), scored(979), 0.01).accepted
    assert judge(scored(980), scored(990), 0.0).accepted


def test_few_rows_are_said_to_be_few():
    """What they cannot exclude is in the verdict; the drop that was seen decides."""
    verdict = judge(scored(111, 114), scored(111, 114), 0.005)
    assert verdict.accepted
    assert verdict.reason == (
        "accuracy 0.974 against 0.974 (drop 0.0 points, 95 % -3.3 to 3.3, p = 1; allowed 0.5)"
    )
    assert not judge(scored(111, 114), scored(110, 114), 0.005).accepted


def test_without_labels_answers_must_agree():
    """On all rows but the allowed share, however noisy the outputs are."""
    given = unlabelled(1000, math.inf)
    assert judge(given, unlabelled(990, 5.0), 0.01).accepted
    verdict = judge(given, unlabelled(900, 50.0), 0.01)
    assert not verdict.accepted
    assert "90.0% of 1000 answers are those of the model as given" in verdict.reason


def test_without_labels_and_decisions_the_noise_decides():
    """20 dB are enough, and having nothing to compare is not."""
    given = unlabelled(None, math.inf)
    assert judge(given, unlabelled(None, 20.0), 0.01).accepted
    assert judge(given, unlabelled(None, math.inf), 0.01).accepted
    refused = judge(given, unlabelled(None, 8.25), 0.01)
    assert refused.reason == ("its outputs are 8.2 dB above their noise (at least 20 dB must be)")
    assert not judge(given, unlabelled(None, None), 0.01).accepted
