"""What all recipes from ONNX to ONNX have in common."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefn.compress.graphs import onnx_model
from edgefn.compress.recipe import Format, Material, RecipeFailed, Row, Source
from edgefn.compress.tools import missing_extra, versions

if TYPE_CHECKING:
    import onnx

ALREADY_QUANTISED: Final = "is quantised already"


class OnnxRecipe(ABC):
    """Changes an ONNX model into another.

    Attributes:
        name: Of the variant.
        summary: What it does, in one line for a report.
        revision: Of the recipe's own code: one more whenever its result may be another.
        tools: The distributions whose versions may change the result.
    """

    name: str
    summary: str
    revision: int = 1
    tools: tuple[str, ...] = ("numpy", "onnx")

    @property
    def version(self) -> str:
        """Of the recipe and of its tools."""
        return f"{self.revision},{versions(self.tools)}"

    @property
    def format(self) -> Format:
        """ONNX."""
        return "onnx"

    def missing(self) -> str:
        """Returns the one line that says what to install for it, or nothing."""
        return missing_extra("compress", ("onnx", "onnxslim"))

    def skip(self, source: Source) -> str:
        """Returns why it is not worth trying on this model, or nothing."""
        if source.format != "onnx":
            return f"works on ONNX models, not on .{source.format} files"
        try:
            return self.unsuited(onnx_model.load(source.data))
        except RecipeFailed as error:
            return error.message

    def make(self, source: Source, material: Material) -> bytes:
        """Returns the model in its new form.

        Raises:
            RecipeFailed: It does not work on this model.
        """
        if reason := self.skip(source):
            raise RecipeFailed(reason)
        model = onnx_model.load(source.data)
        data = onnx_model.save(self.change(model, material))
        self.check(source.data, data, _row(model, material))
        material.on_progress(1.0)
        return data

    @abstractmethod
    def unsuited(self, model: "onnx.ModelProto") -> str:
        """Returns why it is not worth trying on this model, or nothing."""

    @abstractmethod
    def change(self, model: "onnx.ModelProto", material: Material) -> "onnx.ModelProto":
        """Returns the model in its new form; may change the given one.

        Raises:
            RecipeFailed: It does not work on this model.
        """

    def check(self, given: bytes, made: bytes, row: Row) -> None:
        """Sees to it that the result loads and answers in the same form as the given model.

        How well it answers is for the evaluation to say.

        Raises:
            RecipeFailed: It does not.
        """
        expected = onnx_model.answers(given, row)
        found = onnx_model.answers(made, row)
        for before, after in zip(expected, found, strict=True):
            if (before.shape, before.dtype) != (after.shape, after.dtype):
                raise RecipeFailed(
                    f"the result answers {after.dtype}{list(after.shape)} instead of "
                    f"{before.dtype}{list(before.shape)}"
                )
            if np.issubdtype(before.dtype, np.floating) and (
                np.isfinite(before).all() and not np.isfinite(after).all()
            ):
                raise RecipeFailed("the result answers infinity or not-a-number where the model "
                                   "as given answers numbers")  # fmt: skip


def _row(model: "onnx.ModelProto", material: Material) -> Row:
    return material.rows[0] if material.rows else onnx_model.made_up_row(model, material.seed)
