"""The same model, simplified: the reference that all other variants are compared with."""

from typing import TYPE_CHECKING, Final

from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.compact import compact
from edgefn.compress.graphs.scaler import without_scalers
from edgefn.compress.graphs.simplify import simplified
from edgefn.compress.recipe import Material, RecipeFailed, Row
from edgefn.compress.recipes.onnx_recipe import OnnxRecipe

if TYPE_CHECKING:
    import onnx

# Sums in another order differ by some 1e-6 in float32; a wrong rewrite differs by far more.
_TOLERANCE: Final = 1e-3


class Fp32(OnnxRecipe):
    """Folds what is constant and fuses what goes together, with onnxslim; the answers stay."""

    name = "onnx-fp32"
    summary = "simplified, in 32-bit floats; the answers are the same"
    revision = 2
    tools = ("numpy", "onnx", "onnxruntime", "onnxslim")

    def unsuited(self, model: "onnx.ModelProto") -> str:
        """Returns nothing: every model can be simplified."""
        return ""

    def change(self, model: "onnx.ModelProto", material: Material) -> "onnx.ModelProto":
        """Returns the model simplified; or only stripped, if the simplified one is larger."""
        without_scalers(model)
        simple = simplified(model)
        compact(simple, rename=False)
        compact(model, rename=False)
        return min(simple, model, key=lambda one: one.ByteSize())

    def check(self, given: bytes, made: bytes, row: Row) -> None:
        """Sees to it that the answers are the same, and that the batch is as free as it was.

        Raises:
            RecipeFailed: They are not.
        """
        super().check(given, made, row)
        before, after = onnx_model.load(given), onnx_model.load(made)
        if onnx_model.has_free_batch(before) != onnx_model.has_free_batch(after):
            raise RecipeFailed("simplifying fixed the batch")
        expected, found = onnx_model.answers(given, row), onnx_model.answers(made, row)
        for output, one, other in zip(before.graph.output, expected, found, strict=True):
            error = onnx_model.relative_error(one, other)
            if error > _TOLERANCE:
                raise RecipeFailed(
                    f"simplifying changed the output {output.name!r} by {error:.2g} of its norm"
                )
