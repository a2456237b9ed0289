"""Keyword spotting: which of ten command words, if any, is spoken in a clip of about a second."""

import numpy as np
from features import LABELS, fit_window, log_mel
from pydantic import BaseModel

from edgefn import Audio, InvalidInput, Model, edge_function

SHORTEST_S, LONGEST_S = 0.2, 2.0


class Keyword(BaseModel):
    """The most probable word, and how probable each one is."""

    word: str
    probability: float
    probabilities: dict[str, float]

    @classmethod
    def from_logits(cls, logits: np.ndarray) -> "Keyword":
        """Softmax over one row of the model's output."""
        weights = np.exp(logits - logits.max())
        shares = (weights / weights.sum()).tolist()
        best = int(np.argmax(logits))
        return cls(
            word=LABELS[best],
            probability=shares[best],
            probabilities=dict(zip(LABELS, shares, strict=True)),
        )


def one_second(clip: Audio[16000]) -> np.ndarray:
    """The second of the clip that the model hears; raises InvalidInput for a wrong length."""
    length_s = round(clip.duration_s, 2)
    if not SHORTEST_S <= length_s <= LONGEST_S:
        limits = f"{SHORTEST_S:g} to {LONGEST_S:g} s"
        raise InvalidInput(f"audio is {length_s:.2f} s long; send {limits}")
    return fit_window(clip.samples)


@edge_function(
    model="kws.onnx",
    deadline_ms=150,
    batch=16,
    idempotent=True,
    evaluate="evaluate.py:samples",
    calibrate="evaluate.py:calibration",
    max_accuracy_drop=0.005,
)
def voice(audio: list[Audio[16000]], model: Model) -> list[Keyword]:
    """Spot one of ten keywords in each clip of 0.2 to 2 s."""
    windows = np.stack([one_second(clip) for clip in audio])
    return [Keyword.from_logits(row) for row in model(log_mel(windows))]
