"""Converts and quantises models; runs in the converter's environment, never in edgefn's.

    python -I tool.py FOLDER

FOLDER has `request.json`, the model and `runs.npz`; `answer.json`, `made.tflite` and `outputs.npz`
are written into it. Nothing of edgefn is imported here, and nothing here by edgefn.
"""

import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]
Names = list[str]

SIGNATURE: Final = "serving_default"
_IDENTIFIER: Final = b"TFL3"
# XNNPACK's 8-bit convolutions work on groups of input channels, and pad what is missing: below
# this, the first convolution of a network takes several times as long in integers as in floats
# (measured on Zen 3: 107 against 23 us of a keyword spotter's 250).
_STEM_CHANNELS: Final = 4
# Integers from end to end save conversions; they may cost this much against integers in the
# products only. Divisions and squares of small numbers cost tens of decibels.
_WHOLE_MAY_COST_DB: Final = 3.0


class Refused(Exception):
    """The model cannot be had in the wanted form; the message says why, for the user."""


def convert(model: Path, folder: Path, inputs: Names, outputs: Names) -> bytes:
    """Returns an ONNX model with fixed shapes as a TFLite file of 32-bit floats."""
    import onnx2tf

    onnx2tf.convert(
        input_onnx_file_path=str(model),  # it overwrites this file
        output_folder_path=str(folder / "onnx2tf"),
        tflite_backend="flatbuffer_direct",
        not_use_onnxsim=True,
        keep_shape_absolutely_input_names=inputs,
        non_verbose=True,
        verbosity="error",
    )
    made = (folder / "onnx2tf" / f"{model.stem}_float32.tflite").read_bytes()
    return named(made, inputs, outputs)


def named(data: bytes, inputs: Names | None = None, outputs: Names | None = None) -> bytes:
    """Returns the model with one signature and in this order of inputs and outputs.

    Without names, those of the signature, or else of the tensors, are kept as they are.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    if len(model.subgraphs[0].inputs) == 0:
        raise Refused("takes no inputs")
    signatures = model.signatureDefs or []
    if inputs is None and len(signatures) == 1:
        return data
    graph = model.subgraphs[0]
    ends = (*graph.inputs, *graph.outputs)
    by_name = {graph.tensors[index].name.decode(): int(index) for index in ends}
    for name in (*(inputs or ()), *(outputs or ())):
        if name not in by_name:
            raise Refused(f"onnx2tf lost the name {name!r}; it has {sorted(by_name)}")
    if inputs is not None:
        graph.inputs = np.array([by_name[name] for name in inputs], np.int32)
    if outputs is not None:
        graph.outputs = np.array([by_name[name] for name in outputs], np.int32)
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    signature.inputs = [_tensor_map(schema, graph, index) for index in graph.inputs]
    signature.outputs = [_tensor_map(schema, graph, index) for index in graph.outputs]
    model.signatureDefs = [signature]
    return _packed(model)


def _tensor_map(schema: Any, graph: Any, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = graph.tensors[index].name, int(index)
    return entry


def _packed(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


class Runner:
    """A TFLite model, run once for each row of its inputs."""

    def __init__(self, data: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._engine = Interpreter(model_content=data, num_threads=1)
        self._engine.allocate_tensors()
        key = next(iter(self._engine.get_signature_list()))
        runner = self._engine.get_signature_runner(key)
        self._inputs = self._engine.get_input_details()
        self._outputs = self._engine.get_output_details()
        self.input_names = _in_order(self._inputs, runner.get_input_details())
        self.output_names = _in_order(self._outputs, runner.get_output_details())

    def __call__(self, runs: dict[str, Array]) -> list[Array]:
        """Returns each output for all runs."""
        count = len(next(iter(runs.values())))
        found: list[list[Array]] = [[] for _ in self._outputs]
        for row in range(count):
            for name, detail in zip(self.input_names, self._inputs, strict=True):
                self._engine.set_tensor(detail["index"], runs[name][row])
            self._engine.invoke()
            for outputs, detail in zip(found, self._outputs, strict=True):
                outputs.append(self._engine.get_tensor(detail["index"]))
        return [np.stack(outputs) for outputs in found]


def _in_order(details: Any, named_details: dict[str, Any]) -> Names:
    names = {int(detail["index"]): name for name, detail in named_details.items()}
    return [names[int(detail["index"])] for detail in details]


def quantise(data: bytes, kind: str, runs: dict[str, Array]) -> bytes:
    """Returns a TFLite file of 32-bit floats in fewer bits."""
    operators = _operators(data)
    if _has_integer_weights(data):
        raise Refused("is quantised already")
    if kind == "int8-dynamic" and any(op.startswith(("CONV", "DEPTHWISE")) for op, _ in operators):
        raise Refused("has convolutions, which dynamic int8 makes two to three times slower")
    if not any(op in _WEIGHTED for op, _ in operators):
        raise Refused("has no layer with weights that could be quantised")
    if kind != "int8-static":
        return _quantised(data, _BY_KIND[kind]({op for op, _ in operators}), None)
    return _static(data, operators, runs)


_WEIGHTED: Final = (
    "FULLY_CONNECTED",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "CONV_2D_TRANSPOSE",
    "BATCH_MATMUL",
)


def _operators(data: bytes) -> list[tuple[str, Any]]:
    """Returns the operators of the main graph in order, each with its first output's name."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_quantizer.utils.tfl_flatbuffer_utils import TFL_OP_CODE_TO_NAME

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    found = []
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        name = TFL_OP_CODE_TO_NAME.get(code)
        found.append((str(name.value) if name is not None else "", operator))
    return found


def _has_integer_weights(data: bytes) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    kinds = {schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT4}
    tensors = schema.ModelT.InitFromPackedBuf(data, 0).subgraphs[0].tensors
    return any(tensor.type in kinds for tensor in tensors)


def _recipe() -> Any:
    from ai_edge_quantizer import recipe_manager

    return recipe_manager.RecipeManager()


def _fp16(operators: set[str]) -> Any:
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=16, dtype=qtyping.TensorDataType.FLOAT
        ),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    recipe = _recipe()
    for op in _present(operators):
        if op != "BATCH_MATMUL":
            recipe.add_quantization_config(
                ".*", op, config, algorithm_key=AlgorithmName.FLOAT_CASTING
            )
    return recipe


def _dynamic(operators: set[str]) -> Any:
    recipe = _recipe()
    for op in _present(operators):
        recipe.add_dynamic_config(".*", op, 8)
    return recipe


def _int4(operators: set[str]) -> Any:
    recipe = _recipe()
    for op in _present(operators):
        # There are no 4-bit kernels for the others.
        recipe.add_weight_only_config(".*", op, 4 if op in ("FULLY_CONNECTED", "CONV_2D") else 8)
    return recipe


_BY_KIND: Final = {"fp16": _fp16, "int8-dynamic": _dynamic, "int4": _int4}


def _present(operators: set[str]) -> Iterator[Any]:
    from ai_edge_quantizer.qtyping import TFLOperationName

    for op in _WEIGHTED:
        if op in operators:
            yield TFLOperationName(op)


def _static(data: bytes, operators: list[tuple[str, Any]], runs: dict[str, Array]) -> bytes:
    """Quantises as much as keeps the outputs near those of the floats."""
    expected = Runner(data)(runs)
    tried = []
    for recipe in (_whole(data, operators), _products({op for op, _ in operators})):
        try:
            made = _quantised(data, recipe, _calibration(data, recipe, runs))
            tried.append((_worst_db(expected, Runner(made)(runs)), made))
        except RuntimeError as error:  # of the kernels: some cannot take integers at all
            failure = error
            tried.append((-np.inf, b""))
    (whole_db, whole), (products_db, products) = tried
    if max(whole_db, products_db) == -np.inf:
        raise Refused(f"in integers it does not run: {failure}")
    return whole if whole_db >= products_db - _WHOLE_MAY_COST_DB else products


def _products(operators: set[str]) -> Any:
    """Integers in convolutions and matrix products, floats in between."""
    from ai_edge_quantizer.qtyping import QuantGranularity

    recipe = _recipe()
    for op in _present(operators):
        # A scale for each row of a matrix is 12 bytes a row, twice, and where activations are
        # 8-bit as well it adds nothing: their noise is the larger by far.
        dense = op == "FULLY_CONNECTED"
        recipe.add_static_config(
            ".*", op, 8, 8, QuantGranularity.TENSORWISE if dense else QuantGranularity.CHANNELWISE
        )
    return recipe


def _whole(data: bytes, operators: list[tuple[str, Any]]) -> Any:
    """Integers wherever there are kernels for them, inputs, outputs and the stem left out."""
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName

    recipe = _recipe()
    recipe.add_static_config(".*", TFLOperationName.ALL_SUPPORTED, 8, 8)
    if any(op == "FULLY_CONNECTED" for op, _ in operators):
        recipe.add_static_config(
            ".*", TFLOperationName.FULLY_CONNECTED, 8, 8, QuantGranularity.TENSORWISE
        )
    skipped = [(".*", TFLOperationName.INPUT), (".*", TFLOperationName.OUTPUT)]
    skipped += _stem(data, operators)
    for scope, op in skipped:
        recipe.add_quantization_config(scope, op, algorithm_key=AlgorithmName.NO_QUANTIZE)
    return recipe


def _stem(data: bytes, operators: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Returns all up to a first convolution of few channels, by the names of their outputs."""
    import re

    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_quantizer.qtyping import TFLOperationName

    tensors = schema.ModelT.InitFromPackedBuf(data, 0).subgraphs[0].tensors
    found = []
    for op, operator in operators:
        if op:
            name = tensors[operator.outputs[0]].name.decode()
            found.append((f"^{re.escape(name)};?$", TFLOperationName(op)))
        if op == "CONV_2D":
            channels = tensors[operator.inputs[1]].shape[-1]
            return found if channels < _STEM_CHANNELS else []
    return []


def _calibration(data: bytes, recipe: Any, runs: dict[str, Array]) -> Any:
    """Returns the least and the greatest value of each tensor over all runs.

    The quantiser's own way is a moving average of them, which clips: 17 to 19 dB where this gives
    35 to 42.
    """
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    calibrator = Calibrator(data, num_threads=1, qsv_update_func=min_max_update)
    count = len(next(iter(runs.values())))
    rows = [{name: array[row] for name, array in runs.items()} for row in range(count)]
    calibrator.calibrate({next(iter(calibrator.get_signature_list())): rows}, recipe)
    return calibrator.get_model_qsvs()


def _quantised(data: bytes, recipe: Any, calibration: Any) -> bytes:
    from ai_edge_quantizer.quantizer import Quantizer

    quantizer = Quantizer(data, recipe.get_quantization_recipe())
    result = quantizer.quantize(
        calibration, enable_progress_bar=False, enable_progress_report=False
    )
    return bytes(result.quantized_model)


def _worst_db(expected: list[Array], found: list[Array]) -> float:
    """Returns the least signal-to-noise ratio of all outputs."""
    ratios = []
    for signal, output in zip(expected, found, strict=True):
        signal, output = signal.astype(np.float64), output.astype(np.float64)
        noise = np.square(signal - output).sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = 10 * np.log10(np.square(signal).sum() / noise)
        ratios.append(np.inf if noise == 0 else ratio)
    return float(np.nan_to_num(min(ratios), nan=-np.inf, posinf=np.inf, neginf=-np.inf))


def answer(folder: Path) -> dict[str, Any]:
    """Does what the request in the folder says, and returns what to answer."""
    request = json.loads((folder / "request.json").read_text())
    with np.load(folder / "runs.npz", allow_pickle=False) as archive:
        runs = {name: archive[f"i{index}"] for index, name in enumerate(request["inputs"])}
    model, kind = folder / request["model"], request["kind"]
    try:
        if model.suffix == ".onnx":
            made = convert(model, folder, request["inputs"], request["outputs"])
        else:
            made = quantise(named(model.read_bytes()), kind, runs)
        runner = Runner(made)
        found = runner(runs)
    except Refused as error:
        return {"error": str(error)}
    except Exception as error:  # the tools raise whatever they like; this is the process boundary
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
    (folder / "made.tflite").write_bytes(made)
    arrays = {f"o{index}": array for index, array in enumerate(found)}
    np.savez(folder / "outputs.npz", **arrays)  # type: ignore[arg-type]
    return {"inputs": runner.input_names, "outputs": runner.output_names}


def self_test(folder: Path) -> None:
    """Converts a small network and quantises it; raises if the result is not what it must be."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.linspace(-1, 1, 32, dtype=np.float32).reshape(8, 4)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    nodes = [helper.make_node("Gemm", ["x", "w"], ["z"]), helper.make_node("Relu", ["z"], ["y"])]
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(weights, "w")])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "m.onnx")
    runs = {"x": np.random.default_rng(0).uniform(-1, 1, (16, 1, 8)).astype(np.float32)}
    expected = np.maximum(runs["x"] @ weights, 0)
    floats = convert(folder / "m.onnx", folder, ["x"], ["y"])
    np.testing.assert_allclose(Runner(floats)(runs)[0], expected, atol=1e-5)
    for kind in ("fp16", "int8-dynamic", "int8-static", "int4"):
        found = Runner(quantise(floats, kind, runs))(runs)[0]
        np.testing.assert_allclose(found, expected, atol=0.3, err_msg=kind)


def _end_with_parent() -> None:
    sys.stdin.read()  # until whoever started this closes it, by ending if not otherwise
    os._exit(1)


def main() -> None:
    """Serves one request, or tests that the tools work."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if sys.argv[1] == "--self-test":
        with tempfile.TemporaryDirectory() as name:
            self_test(Path(name))
        return
    folder = Path(sys.argv[1])
    (folder / "answer.json").write_text(json.dumps(answer(folder)))


if __name__ == "__main__":
    main()
