"""Structured pruning: whole channels are cut out, and the rest is trained to make up for them."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefn.compress.graphs import onnx_model
from edgefn.compress.recipe import Format, Material, RecipeFailed, Source
from edgefn.compress.recipes.onnx_recipe import ALREADY_QUANTISED
from edgefn.compress.recipes.runs import single_runs
from edgefn.compress.tools import calling, missing_extra, versions
from edgefn_runtime.backends.onnx import OnnxModel

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgefn.compress.training.onnx_module import OnnxModule

Array = np.ndarray[Any, Any]

_REVISION: Final = 1
_TOOLS: Final = ("numpy", "onnx", "onnxslim", "torch", "torch-pruning")
# With fewer rows nothing tells a network that has learned from one that has memorised.
FEWEST_ROWS: Final = 32
_MOST_ROWS: Final = 4096
# Kernels work on channels by fours and eights.
_ROUND_TO: Final = 4
_SMALLEST_LAYERS: Final = 2


@dataclass(frozen=True, slots=True)
class Pruned:
    """Cuts a share of the channels of each layer but the last ones.

    Attributes:
        percent: Of the channels.
    """

    percent: int

    @property
    def name(self) -> str:
        """Of the variant."""
        return f"onnx-pruned-{self.percent}"

    @property
    def summary(self) -> str:
        """What it does, in one line for a report."""
        return f"{self.percent} % of the channels cut, the rest trained to answer as before"

    @property
    def version(self) -> str:
        """Of the recipe and of its tools."""
        return f"{_REVISION},{versions(_TOOLS)}"

    @property
    def format(self) -> Format:
        """ONNX."""
        return "onnx"

    def missing(self) -> str:
        """Returns the one line that says what to install for it, or nothing."""
        without = missing_extra("compress", ("onnx", "onnxslim"))
        return without or missing_extra("torch", ("torch", "torch_pruning"))

    def skip(self, source: Source) -> str:
        """Returns why it is not worth trying on this model, or nothing."""
        if source.format != "onnx":
            return f"works on ONNX models, not on .{source.format} files"
        try:
            model = onnx_model.load(source.data)
        except RecipeFailed as error:
            return error.message
        if onnx_model.is_quantised(model):
            return ALREADY_QUANTISED
        if not onnx_model.has_free_batch(model):
            return "has a fixed number of rows, and is trained on many at once"
        counts = onnx_model.op_counts(model)
        if counts["Conv"] + counts["Gemm"] + counts["MatMul"] < _SMALLEST_LAYERS:
            return "has no layer before the last one whose channels could be cut"
        return ""

    def make(self, source: Source, material: Material) -> bytes:
        """Returns the model with fewer channels.

        Raises:
            RecipeFailed: It cannot be trained, or there are too few rows to train on.
        """
        import torch

        from edgefn.compress.training.distil import Training, distil
        from edgefn.compress.training.onnx_module import OnnxModule, tensors

        given = OnnxModel(source.data, "the model")
        runs = single_runs(given, material.rows, _MOST_ROWS)
        if len(runs) < FEWEST_ROWS:
            raise RecipeFailed(f"{len(runs)} rows are too few to train on; give {FEWEST_ROWS}")
        inputs = tensors([array[:, 0] for array in runs.inputs.values()])
        with calling("PyTorch"):
            teacher, student = OnnxModule(source.data), OnnxModule(source.data)
            before = _layer_weights(student)
            prune(student, [part[:1] for part in inputs], self.percent / 100,
                  ignored=student.last_layers())  # fmt: skip
            if _layer_weights(student) == before:
                raise RecipeFailed("has no channels that could be cut without cutting its outputs")
            freeze_constants(student)
            distil(
                teacher, student, inputs,
                training=Training(seed=material.seed),
                probabilities=teacher.softmax_outputs,
                on_progress=material.on_progress,
            )  # fmt: skip
            with torch.no_grad():
                data = student.to_onnx()
        _check(data, runs.inputs, runs.outputs)
        return data


def pruning_recipes() -> tuple[Pruned, ...]:
    """Returns the recipes, the gentler one first."""
    return Pruned(25), Pruned(50)


def prune(
    module: "nn.Module",
    inputs: Sequence["Tensor"],
    share: float,
    *,
    ignored: Collection["nn.Module"] = (),
) -> None:
    """Cuts the channels with the smallest weights out of a module, and what depends on them.

    Answers are no longer what they were: train it afterwards (`training.distil`).

    Args:
        module: Changed in place.
        inputs: Example inputs of one row.
        share: Of the channels of each layer, 0 to 1.
        ignored: Layers that keep all of their outputs; the last ones have to be among them.
    """
    import torch_pruning

    with _unfrozen(module):
        pruner = torch_pruning.pruner.MagnitudePruner(
            module,
            tuple(inputs),
            importance=torch_pruning.importance.MagnitudeImportance(p=2),
            pruning_ratio=share,
            ignored_layers=list(ignored),
            round_to=_ROUND_TO,
        )
        pruner.step()


def freeze_constants(module: "OnnxModule") -> None:
    """Lets only the layers be trained; normalisation by constants is not the network's to learn."""
    module.requires_grad_(False)
    for layer in module.layers():
        layer.requires_grad_(True)


@contextmanager
def _unfrozen(module: "nn.Module") -> Iterator[None]:
    """Makes all weights trainable for a while: torch-pruning follows gradients to find them."""
    frozen = [weight for weight in module.parameters() if not weight.requires_grad]
    module.requires_grad_(True)
    yield
    for weight in frozen:
        weight.requires_grad_(False)


def _layer_weights(module: "OnnxModule") -> int:
    return sum(weight.numel() for layer in module.layers() for weight in layer.parameters())


def _check(data: bytes, inputs: Any, outputs: Any) -> None:
    """Sees to it that the result takes any number of rows and answers in the same shapes."""
    model = OnnxModel(data, "the pruned model")
    for rows in (1, 3):
        answers = model.run([np.concatenate(list(array[:rows])) for array in inputs.values()])
        for (name, expected), found in zip(outputs.items(), answers, strict=True):
            if found.shape != (rows, *expected.shape[2:]) or not np.isfinite(found).all():
                raise RecipeFailed(f"pruned, its output {name!r} is no longer what it was")
