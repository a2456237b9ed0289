"""A recipe that takes long, done once for all combinations that begin with it."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from edgefn.compress.recipe import Format, Material, Recipe, RecipeFailed, Source

# A function has few models, and a build makes all of them by one recipe after the other.
_KEPT: Final = 4


@dataclass(slots=True)
class Once:
    """Keeps the last results of a recipe, failures included, for the same model and rows.

    Attributes:
        recipe: Whose results are kept; this one stands for it in every respect.
    """

    recipe: Recipe
    _results: dict[str, bytes | RecipeFailed] = field(default_factory=dict, init=False)

    @property
    def name(self) -> str:
        """The recipe's."""
        return self.recipe.name

    @property
    def summary(self) -> str:
        """The recipe's."""
        return self.recipe.summary

    @property
    def version(self) -> str:
        """The recipe's."""
        return self.recipe.version

    @property
    def format(self) -> Format:
        """The recipe's."""
        return self.recipe.format

    def missing(self) -> str:
        """Returns what the recipe says."""
        return self.recipe.missing()

    def skip(self, source: Source) -> str:
        """Returns what the recipe says."""
        return self.recipe.skip(source)

    def make(self, source: Source, material: Material) -> bytes:
        """Returns what the recipe made of this model and these rows, now or before.

        Raises:
            RecipeFailed: It does not work on this model.
        """
        key = _digest(source, material)
        if key not in self._results:
            while len(self._results) >= _KEPT:
                del self._results[next(iter(self._results))]
            self._results[key] = self._result(source, material)
        result = self._results[key]
        if isinstance(result, RecipeFailed):
            raise RecipeFailed(result.message) from result.__cause__
        material.on_progress(1.0)
        return result

    def _result(self, source: Source, material: Material) -> bytes | RecipeFailed:
        try:
            return self.recipe.make(source, material)
        except RecipeFailed as error:
            return error


def _digest(source: Source, material: Material) -> str:
    """Returns what tells a model, rows and seed from others; outputs follow from them."""
    found = hashlib.sha256(f"{source.format} {material.seed} {len(source.data)} ".encode())
    found.update(source.data)
    for row in material.rows:
        for name, array in sorted(row.items()):
            found.update(f"{name} {array.dtype} {array.shape} ".encode())
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
