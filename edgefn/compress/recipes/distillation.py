"""Distillation: a smaller network learns to answer as the given model does.

Inputs are enough. Where the calibration rows have labels, being right counts as well.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefn.compress.errors import InvalidData
from edgefn.compress.graphs import onnx_model
from edgefn.compress.recipe import Format, Material, RecipeFailed, Source
from edgefn.compress.recipes.pruning import FEWEST_ROWS
from edgefn.compress.recipes.runs import Runs, single_runs
from edgefn.compress.tools import calling, missing_extra, versions
from edgefn.errors import EdgefnError
from edgefn_runtime.backends import load_model
from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.model import Model
from edgefn_runtime.tracebacks import describe

if TYPE_CHECKING:
    from torch import Tensor

_REVISION: Final = 2
_TOOLS: Final = ("numpy", "onnx", "torch", "onnxscript")
_MOST_ROWS: Final = 4096
# A student begins with nothing: it needs longer than what is left of a pruned model.
_STEPS: Final = 3000
_TRAINED_SHARE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Distilled:
    """Trains the developer's student on what the given model answers.

    Attributes:
        student: Returns an untrained `torch.nn.Module` that takes and gives what the model does.
        student_version: Changes whenever the student may.
    """

    student: Callable[[], Any]
    student_version: str = ""

    @property
    def name(self) -> str:
        """Of the variant."""
        return "onnx-distilled"

    @property
    def summary(self) -> str:
        """What it does, in one line for a report."""
        return "a smaller network, trained to answer as the given model does"

    @property
    def version(self) -> str:
        """Of the recipe, its tools, and the student."""
        return f"{_REVISION},{versions(_TOOLS)},{self.student_version}"

    @property
    def format(self) -> Format:
        """ONNX."""
        return "onnx"

    def missing(self) -> str:
        """Returns the one line that says what to install for it, or nothing."""
        without = missing_extra("compress", ("onnx", "onnxslim"))
        return without or missing_extra("torch", ("torch", "onnxscript"))

    def skip(self, source: Source) -> str:
        """Returns nothing: any model can teach."""
        return ""

    def make(self, source: Source, material: Material) -> bytes:
        """Returns the trained student, with the names of the given model's inputs and outputs.

        Raises:
            InvalidData: The student raises.
            RecipeFailed: There are too few rows, or the student does not fit the model.
        """
        from edgefn.compress.training.distil import Training, distil
        from edgefn.compress.training.onnx_module import tensors

        try:
            given = load_model(source.data, f"the model.{source.format}")
        except LoadFailed as error:
            raise RecipeFailed(error.message) from error
        runs = single_runs(given, material.rows, _MOST_ROWS)
        if len(runs) < FEWEST_ROWS:
            raise RecipeFailed(f"{len(runs)} rows are too few to train on; give {FEWEST_ROWS}")
        inputs = tensors([array[:, 0] for array in runs.inputs.values()])
        with _blaming_the_student():
            student = _new(self.student, material.seed)
            _fits(student, inputs, runs)
        with calling("PyTorch"):
            distil(
                _Teacher(given), student, inputs, _labels(material, runs),
                training=Training(steps=_STEPS, seed=material.seed),
                on_progress=lambda share: material.on_progress(_TRAINED_SHARE * share),
            )  # fmt: skip
        return _exported(student, runs)


@contextmanager
def _blaming_the_student() -> Iterator[None]:
    """Keeps the given model out of what is said of the developer's own code."""
    try:
        yield
    except EdgefnError:
        raise
    except Exception as error:  # the developer's code raises anything
        told = " ".join(describe(error).split())
        raise InvalidData(f"student= raises {told}") from error


def _labels(material: Material, runs: Runs) -> "Tensor | None":
    """Returns the classes of all runs, if they are known and each row is a run."""
    import torch

    if not material.labels or not len(material.labels) == len(material.rows) == len(runs):
        return None
    return torch.tensor(list(material.labels))


class _Teacher:
    """Asks a model that is no torch module."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __call__(self, *inputs: "Tensor") -> "list[Tensor]":
        import torch

        answers = self._model.run([part.numpy() for part in inputs])
        return [torch.from_numpy(np.array(answer)) for answer in answers]


def _new(student: Callable[[], Any], seed: int) -> Any:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = student()
    if not isinstance(made, torch.nn.Module):
        raise RecipeFailed(f"student= has to return a torch.nn.Module, not a {type(made).__name__}")
    return made


def _fits(student: Any, inputs: "Sequence[Tensor]", runs: Runs) -> None:
    import torch

    from edgefn.compress.training.distil import outputs_of

    student.eval()
    with torch.no_grad():
        found = [list(output.shape[1:]) for output in outputs_of(student(*[p[:2] for p in inputs]))]
    wanted = [list(array.shape[2:]) for array in runs.outputs.values()]
    if found != wanted:
        raise RecipeFailed(f"a row of the student's outputs is {found}, of the model's {wanted}")


def _exported(student: Any, runs: Runs) -> bytes:
    from edgefn.compress.export.to_onnx import to_onnx

    try:
        data = to_onnx(student, [array[:2, 0] for array in runs.inputs.values()])
    except EdgefnError as error:
        raise RecipeFailed(error.message) from error
    return renamed(data, list(runs.inputs), list(runs.outputs))


def renamed(data: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """Returns an ONNX model whose inputs and outputs have these names, in order."""
    model = onnx_model.load(data)
    values = [*onnx_model.fed_inputs(model), *model.graph.output]
    wanted = dict(zip([value.name for value in values], [*inputs, *outputs], strict=True))
    every = {name for node in model.graph.node for name in (*node.input, *node.output)}
    every |= {tensor.name for tensor in model.graph.initializer}
    # An inner value that has one of these names by chance gets out of the way.
    for name in (every & set(wanted.values())) - wanted.keys():
        wanted[name] = f"{name}/inner"
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = wanted.get(name, name)
    for tensor in model.graph.initializer:
        tensor.name = wanted.get(tensor.name, tensor.name)
    for value in values:
        value.name = wanted[value.name]
    del model.graph.value_info[:]
    return onnx_model.save(model)
