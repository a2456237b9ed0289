"""What a build tries, and why it leaves the rest: pure, and cheap to ask."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edgefn.compress.device.profile import Device
from edgefn.compress.recipe import Recipe, Source
from edgefn.errors import ConfigError

REFERENCE: Final = "onnx-fp32"
BACKEND_OF_FORMAT: Final = {"onnx": "onnx", "tflite": "litert"}
NO_DATA: Final = (
    "needs data to be judged by: declare evaluate=, or build with --data evaluate.py:samples"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One recipe, to be tried or skipped.

    Attributes:
        recipe: It.
        skip: Why it is not tried, in one line; empty: it is.
    """

    recipe: Recipe
    skip: str


def plan(
    recipes: Iterable[Recipe],
    sources: Mapping[str, Source],
    *,
    device: Device,
    has_data: bool,
    only: Sequence[str] = (),
) -> tuple[Step, ...]:
    """Decides about each recipe.

    A recipe is tried if it works on every model of the function: a variant has one form of all.

    Args:
        recipes: Those that there are.
        sources: The function's models as they were given, by parameter.
        device: That will serve the variants.
        has_data: Whether variants can be judged. If not, only the simplified form of the model is
            made, whose answers are the same.
        only: Names of the variants that are wanted; empty: all. The reference is made in any case.

    Raises:
        ConfigError: `only` has a name that no recipe makes.
    """
    known = list(recipes)
    names = [recipe.name for recipe in known]
    for name in only:
        if name not in names:
            raise ConfigError(f"no recipe makes {name!r}; there are {', '.join(names)}")
    return tuple(
        Step(recipe=recipe, skip=_skip(recipe, sources, device, has_data, only)) for recipe in known
    )


def _skip(
    recipe: Recipe,
    sources: Mapping[str, Source],
    device: Device,
    has_data: bool,
    only: Sequence[str],
) -> str:
    if only and recipe.name not in (REFERENCE, *only):
        return "not asked for"
    if lacks := device.lacks(BACKEND_OF_FORMAT[recipe.format]):
        return lacks
    if not has_data and recipe.name != REFERENCE:
        return NO_DATA
    if missing := recipe.missing():  # before anything that may need what is missing
        return missing
    for parameter, source in sources.items():
        if reason := recipe.skip(source):
            return reason if len(sources) == 1 else f"{parameter}: {reason}"
    return ""
