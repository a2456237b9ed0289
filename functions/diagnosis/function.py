"""Breast-mass diagnosis from 30 cell-nucleus measurements, with the features that weighed most."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from edgefn import InvalidInput, Model, Tensor, edge_function

# Chosen by train.py on validation folds: the lowest confidence at which 99.5 % of the cases that
# are not referred were right. evaluate.py fails if it no longer is what the model was trained with.
REFER_BELOW = 0.97

TOP = 3

_MEASURES = (
    "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity",
    "concave points", "symmetry", "fractal dimension",
)  # fmt: skip
FEATURES = tuple(
    f"{form} {measure}" for form in ("mean", "error", "worst") for measure in _MEASURES
)


class Reason(BaseModel):
    """One feature and what it added to the log-odds of malignancy (negative: towards benign)."""

    name: str
    contribution: float


class Diagnosis(BaseModel):
    """What the model makes of one mass."""

    label: Literal["malignant", "benign"]
    probability: float = Field(description="calibrated probability that the mass is malignant")
    refer: bool = Field(description="too uncertain: a human should decide")
    reasons: list[Reason] = Field(description="the features that weighed most, strongest first")


@edge_function(
    model="diagnosis.onnx",
    deadline_ms=100,
    batch=64,
    idempotent=True,
    evaluate="evaluate.py:samples",
    calibrate="evaluate.py:calibration",
    max_accuracy_drop=0.005,
)
def diagnosis(features: list[Tensor["float32", 30]], model: Model) -> list[Diagnosis]:
    """Classify each mass as malignant or benign, and say why.

    The contributions come out of the model's own graph: DeepLIFT with the rescale rule (Shrikumar
    et al., 2017) against the mean benign mass. They add up exactly to the log-odds of this mass
    minus the log-odds of that mean, and cost one backward sweep of the network.
    """
    masses = np.array(features)
    if not np.isfinite(masses).all():
        raise InvalidInput("features: all thirty must be finite; a missing one cannot be guessed")
    probability, contributions = model(masses)
    top = np.abs(contributions).argsort(axis=1)[:, : -TOP - 1 : -1]
    return [
        Diagnosis(
            label="malignant" if p >= 0.5 else "benign",
            probability=p,
            refer=max(p, 1 - p) < REFER_BELOW,
            reasons=[Reason(name=FEATURES[i], contribution=added[i]) for i in strongest],
        )
        for p, strongest, added in zip(
            probability.tolist(), top.tolist(), contributions.tolist(), strict=True
        )
    ]
