"""Functions as the engine looks them up, and the noise of their runs."""

from collections.abc import Callable
from math import exp, log1p, sqrt

from edgefn.routing.choice import Choice
from edgefn.simulate.scenario import FunctionModel, VariantModel

Noise = Callable[[float], float]  # what a run's time is multiplied by, for a standard normal


class Function:
    """One function.

    Attributes:
        index: In the scenario.
        model: As the file has it.
        choices: For calls that come forwarded: they ask for their variant by name.
    """

    __slots__ = (
        "choices",
        "deadline_s",
        "idempotent",
        "index",
        "min_accuracy",
        "model",
        "name",
        "priority",
    )

    def __init__(self, index: int, model: FunctionModel) -> None:
        self.index = index
        self.model = model
        self.name = model.name
        self.deadline_s = model.deadline_s
        self.min_accuracy = model.min_accuracy
        self.priority = model.priority
        self.idempotent = model.idempotent
        self.choices = {one.name: Choice(variant=one.name) for one in model.variants}


def lognormal(cv: float) -> Noise | None:
    """Returns noise of mean 1 and this coefficient of variation; None for none."""
    if not cv:
        return None
    variance = log1p(cv * cv)
    sigma, shift = sqrt(variance), variance / 2.0
    return lambda luck: exp(sigma * luck - shift)


def noise_of(variant: VariantModel) -> Noise | None:
    """Returns the noise of a variant's runs."""
    return lognormal(variant.cv)
