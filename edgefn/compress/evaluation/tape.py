"""Models that note what goes into them and comes out."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgefn_runtime.model import Model

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a model: arrays as the function passed them, and what it answered."""

    inputs: list[Array]
    outputs: list[Array]


@dataclass(slots=True, kw_only=True)
class Tape:
    """What one model did, step by step of the work that the function was given.

    Attributes:
        limit_bytes: When so much is on it, nothing more is noted.
        keep_inputs: Whether inputs are noted, too.
        steps: Runs of each step.
        used_bytes: Of the arrays on it.
    """

    limit_bytes: int
    keep_inputs: bool
    steps: list[list[Run]] = field(default_factory=list)
    used_bytes: int = 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more is noted."""
        return self.used_bytes >= self.limit_bytes

    def next_step(self) -> None:
        """Begins another step."""
        if not self.is_full:
            self.steps.append([])

    def note(self, inputs: list[Array], outputs: list[Array]) -> None:
        """Adds a run to the step."""
        if self.is_full or not self.steps:
            return
        self.steps[-1].append(Run(inputs, outputs))
        self.used_bytes += sum(array.nbytes for array in [*inputs, *outputs])

    def outputs(self) -> list[list[list[Array]]]:
        """Returns, of each step, of each run in it, the outputs."""
        return [[run.outputs for run in step] for step in self.steps]


class TapedModel(Model):
    """A model that is run as before, with a tape beside it.

    Attributes:
        tape: Of what goes in and out.
    """

    def __init__(self, model: Model, tape: Tape) -> None:
        self._model = model
        self.tape = tape
        self.inputs = model.inputs
        self.outputs = model.outputs

    def run(self, arrays: list[Array]) -> list[Array]:
        """Runs the model on one array an input, in order."""
        # Copies: the function may go on writing into its arrays, and a backend into its list.
        inputs = [array.copy() for array in arrays] if self.tape.keep_inputs else []
        outputs = self._model.run(arrays)
        self.tape.note(inputs, [np.array(output) for output in outputs])
        return outputs
