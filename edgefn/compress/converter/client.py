"""Asks the converter's tools for a model, and reads what they answer."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from edgefn.compress.converter import program
from edgefn.compress.converter.environment import MISSING, TOOL, installed
from edgefn.compress.recipe import ExtraMissing, RecipeFailed

Array = np.ndarray[Any, Any]
Kind = Literal["fp16", "int8-dynamic", "int8-static", "int4"]

_TIMEOUT_S: Final = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A TFLite file, and what it answers.

    Attributes:
        data: The file.
        inputs: Their names, in order.
        outputs: Name to what came of each run, in order: (runs, *shape).
    """

    data: bytes
    inputs: tuple[str, ...]
    outputs: Mapping[str, Array]


def convert(
    onnx: bytes,
    *,
    inputs: Mapping[str, Array],
    outputs: Sequence[str],
    timeout_s: float = _TIMEOUT_S,
) -> Made:
    """Returns an ONNX model in TFLite's format, in 32-bit floats.

    Args:
        onnx: With fixed shapes only.
        inputs: In the model's order, each for some runs: (runs, *shape).
        outputs: Their names, in the model's order.
        timeout_s: After which the tools are killed.

    Raises:
        RecipeFailed: The tools cannot; says why.
        ExtraMissing: The converter is not installed.
    """
    return _ask("model.onnx", onnx, {"kind": "fp32", "outputs": list(outputs)}, inputs, timeout_s)


def quantise(
    tflite: bytes, kind: Kind, *, inputs: Mapping[str, Array], timeout_s: float = _TIMEOUT_S
) -> Made:
    """Returns a TFLite model of 32-bit floats in fewer bits; it takes and gives floats as before.

    Args:
        tflite: The model.
        kind: `fp16` and `int4` are about size alone; `int8-dynamic` quantises activations while
            it runs, `int8-static` by the ranges that they have on these inputs.
        inputs: In the model's order, each for some runs: (runs, *shape).
        timeout_s: After which the tools are killed.

    Raises:
        RecipeFailed: The tools cannot; says why.
        ExtraMissing: The converter is not installed.
    """
    return _ask("model.tflite", tflite, {"kind": kind}, inputs, timeout_s)


def _ask(
    name: str, data: bytes, request: dict[str, Any], inputs: Mapping[str, Array], timeout_s: float
) -> Made:
    python = installed()
    if python is None:
        raise ExtraMissing(MISSING)
    with tempfile.TemporaryDirectory(prefix="edgefn-converter-") as temporary:
        folder = Path(temporary)
        (folder / name).write_bytes(data)
        request |= {"model": name, "inputs": list(inputs)}
        (folder / "request.json").write_text(json.dumps(request))
        arrays = {f"i{index}": array for index, array in enumerate(inputs.values())}
        np.savez(folder / "runs.npz", **arrays)  # type: ignore[arg-type]
        try:
            program.run([python, "-I", TOOL, folder], folder=folder, timeout_s=timeout_s)
        except program.Failed as error:
            raise RecipeFailed(f"the LiteRT converter failed: {error}") from error
        return _read(folder)


def _read(folder: Path) -> Made:
    answer = json.loads((folder / "answer.json").read_text())
    if "error" in answer:
        raise RecipeFailed(answer["error"])
    with np.load(folder / "outputs.npz", allow_pickle=False) as archive:
        outputs = {name: archive[f"o{index}"] for index, name in enumerate(answer["outputs"])}
    return Made(
        data=(folder / "made.tflite").read_bytes(),
        inputs=tuple(answer["inputs"]),
        outputs=outputs,
    )
