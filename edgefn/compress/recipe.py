"""What a recipe is: one way to make a smaller or faster model out of a given one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from edgefn.errors import EdgefnError

Format = Literal["onnx", "tflite"]
Row = Mapping[str, "np.ndarray[Any, Any]"]


class RecipeFailed(EdgefnError):
    """A recipe does not work on this model; says why. The build goes on without the variant."""

    code = "recipe_failed"


class ExtraMissing(EdgefnError):
    """A recipe needs what is not installed; says what to install."""

    code = "extra_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model as it was given, or as another recipe left it.

    Attributes:
        data: The bytes of its file, all weights included.
        format: Of these bytes.
    """

    data: bytes
    format: Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a recipe may use beside the model.

    Attributes:
        rows: Inputs of the model as the function feeds them, one mapping of input name to array a
            run. Where the first dimension is free, an array has as many rows as the function gave.
        outputs: What the given model answers to each of `rows`, in its order of outputs.
        labels: Of each of `rows` the class that is right, by its place in the model's first output;
            empty if nobody knows.
        on_progress: Called with the share of the work that is done, 0 to 1.
        seed: For whatever is random.
    """

    rows: Sequence[Row]
    outputs: Sequence[Sequence["np.ndarray[Any, Any]"]]
    labels: Sequence[int] = ()
    on_progress: Callable[[float], None] = lambda share: None
    seed: int = 0


class Recipe(Protocol):
    """Makes one variant of a model."""

    @property
    def name(self) -> str:
        """Of the variant, as in `onnx-int8-static`."""

    @property
    def summary(self) -> str:
        """What it does, in one line for a report."""

    @property
    def version(self) -> str:
        """Changes whenever the result may; tool versions included. Part of the cache key."""

    @property
    def format(self) -> Format:
        """Of what it makes."""

    def missing(self) -> str:
        """Returns the one line that says what to install for it, or nothing."""

    def skip(self, source: Source) -> str:
        """Returns why it is not worth trying on this model, or nothing."""

    def make(self, source: Source, material: Material) -> bytes:
        """Returns the model in its new form.

        Raises:
            RecipeFailed: It does not work on this model.
        """


def by_name(recipes: Iterable[Recipe]) -> dict[str, Recipe]:
    """Returns recipes by the name of what they make, in order."""
    return {recipe.name: recipe for recipe in recipes}
