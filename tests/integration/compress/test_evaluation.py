"""A function's data in a real evaluator process, with real models."""

import math
import os
import textwrap
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefn.build_options import BuildOptions
from edgefn.compress.errors import EvaluationFailed, InvalidData
from edgefn.compress.evaluation.evaluator import Evaluator, Silence
from edgefn_runtime.manifest import FunctionSpec

FUNCTION = """
    from typing import Literal
    import numpy as np
    from pydantic import BaseModel
    from edgefn import InvalidInput, Model, Tensor, edge_function

    class Answer(BaseModel):
        side: str
        score: float

    @edge_function(model="m.onnx", batch=8)
    def f(x: list[Tensor["float32", 2]], model: Model) -> list[Answer]:
        print("noise on the standard output")
        rows = np.array(x)
        if rows.max() > 100:
            raise InvalidInput("too large")
        scores = model(rows)[:, 0].tolist()
        return [Answer(side="left" if score < 0 else "right", score=score) for score in scores]
"""
DATA = """
    import os, time
    import numpy as np

    def samples():
        rng = np.random.default_rng(3)
        for x in rng.normal(size=(40, 2)).astype(np.float32):
            yield {"x": x}, {"side": "left" if x.sum() < 0 else "right"}

    def inputs():
        for row, _ in samples():
            yield row

    def one_too_large():
        yield from samples()
        yield {"x": np.float32([1000, 0])}, {"side": "right"}

    def all_too_large():
        for number in range(8):
            yield {"x": np.float32([1000, number])}

    def one():
        yield {"x": np.float32([1, 1])}

    def half(answer, label):
        return 0.5 if answer.side == label["side"] else 0.0

    def nothing_is_right():
        for row, label in samples():
            yield row, {"side": "up"}

    def raises():
        yield {"x": np.zeros(2, np.float32)}, {"side": "left"}
        raise ValueError("no more")

    def exits():
        os._exit(3)

    def random():
        for x in np.random.default_rng().normal(size=(20, 2)).astype(np.float32):
            yield {"x": x}, {"side": "left" if x.sum() < 0 else "right"}

    def hangs():
        yield {"x": np.zeros(2, np.float32)}
        time.sleep(3600)
"""


def weighing(a: float, b: float) -> bytes:
    """A model that weighs the two numbers of each row and adds them up."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(np.float32([[a], [b]]), "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


class Folder:
    """A function's folder, and evaluators of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("function.py", FUNCTION)
        self.write("data.py", DATA)
        (path / "m.onnx").write_bytes(weighing(1, 1))

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(textwrap.dedent(text))

    def variant(self, a: float, b: float) -> dict[str, Path]:
        path = self.path / f"{a}-{b}.onnx"
        path.write_bytes(weighing(a, b))
        return {"model": path}

    def evaluator(
        self, samples: str = "samples", batch: int = 8, timeout_s: float = 30.0, **more
    ) -> Evaluator:
        options = {name: more.pop(name) for name in ("calibrate", "metric") if name in more}
        return Evaluator(
            self.path / "function.py",
            "f",
            FunctionSpec(name="f", models={"model": "m.onnx"}, batch=batch, timeout_s=timeout_s),
            BuildOptions(evaluate=f"data.py:{samples}", **options),
            **{"rows": 1000, **more},
        )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def gone(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return True
    return False


def test_variants_are_compared_row_by_row(folder):
    """Scores, agreement and noise of the same rows; the models as given are perfect."""
    with folder.evaluator() as evaluator:
        assert (evaluator.drawn.rows, evaluator.drawn.calibration_rows) == (30, 10)
        given = evaluator.given()
        assert given.scores == [1] * 30
        assert given.snr_db == math.inf
        close = evaluator.evaluate(folder.variant(1.001, 1))
        far = evaluator.evaluate(folder.variant(1, -1))
        pid = evaluator.pid
    assert close.snr_db is not None and 50 < close.snr_db < 80
    assert far.snr_db is not None and far.snr_db < 10
    assert far.scores is not None and far.agreement is not None
    assert far.scores == far.agreement
    assert 6 < sum(far.scores) < 24
    assert far.accuracy is not None and far.accuracy.rows == 30
    assert gone(pid)


def test_what_goes_into_a_model_is_captured(folder):
    """Row by row, just as the function passed it, with what the model answered."""
    with folder.evaluator(calibrate="data.py:inputs", rows=12) as evaluator:
        captured = evaluator.capture()
    runs = captured.inputs["model"]
    assert (len(runs), captured.rows, captured.calibration_rows) == (12, 12, 12)
    assert captured.labelled
    rng = np.random.default_rng(3)
    expected = rng.normal(size=(40, 2)).astype(np.float32)[:12]
    assert np.array_equal(np.concatenate([run["x"] for run in runs]), expected)
    assert runs[0]["x"].dtype == np.float32
    outputs = np.concatenate([outputs[0] for outputs in captured.outputs["model"]])
    assert np.allclose(outputs[:, 0], expected.sum(axis=1), atol=1e-6)
    assert captured.labels == {"model": []}  # one score, of which no class can be told


def test_a_row_that_the_function_refuses_is_a_wrong_answer(folder):
    """And costs its neighbours in the batch nothing."""
    with folder.evaluator("one_too_large", calibrate="data.py:inputs") as evaluator:
        scores = evaluator.given().scores
    assert scores == [1] * 40 + [0]


def test_a_metric_takes_the_place_of_equality(folder):
    """It gets the answer as the function returned it."""
    with folder.evaluator(metric="data.py:half") as evaluator:
        scores = evaluator.given().scores
    assert scores == [0.5] * 30


def test_without_labels_answers_are_compared(folder):
    """There are no scores then."""
    with folder.evaluator("inputs") as evaluator:
        found = evaluator.evaluate(folder.variant(-1, -1))
        assert not evaluator.drawn.labelled
    assert found.scores is None
    assert found.agreeing is not None and found.agreeing.value == 0


def test_other_data_take_the_place_of_the_declared(folder, tmp_path, monkeypatch):
    """Named from the working directory."""
    monkeypatch.chdir(tmp_path.parent)
    with folder.evaluator("samples", data=f"{tmp_path.name}/data.py:inputs") as evaluator:
        assert not evaluator.drawn.labelled


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ("nothing_is_right", "no answer scores above 0, even with the model as given"),
        ("raises", r"raises ValueError: no more \(data.py:\d+\)"),
        ("exits", "drawing the rows: its process ended with exit status 3"),
        ("absent", "data.py has no 'absent'"),
    ],
)
def test_mistaken_data_are_the_developers(folder, samples, message):
    """They are told where and why, and no process is left."""
    evaluator = folder.evaluator(samples)
    with pytest.raises(InvalidData, match=message), evaluator:
        evaluator.given()
    assert evaluator.pid is None


@pytest.mark.parametrize(
    ("more", "rows"),
    [
        ({"samples": "all_too_large"}, "evaluate='data.py:all_too_large'"),
        ({"calibrate": "data.py:all_too_large"}, "calibrate='data.py:all_too_large'"),
        ({"data": "data.py:all_too_large"}, "--data data.py:all_too_large"),
    ],
)
def test_rows_that_are_all_refused_are_refused_at_once(folder, monkeypatch, more, rows):
    """Before variants are made of them, by the name of what gave them."""
    monkeypatch.chdir(folder.path)
    message = f"refuses every row of {rows}: too large"
    with folder.evaluator(**more) as evaluator, pytest.raises(InvalidData, match=message):
        evaluator.capture()


def test_what_the_command_line_gave_is_named_as_there(folder, monkeypatch):
    """And not as the option of the declaration whose place it takes."""
    monkeypatch.chdir(folder.path)
    message = "^--data data.py:one yields one row only"
    with pytest.raises(InvalidData, match=message), folder.evaluator(data="data.py:one"):
        pass


def test_a_model_that_gives_no_number_is_no_standard(folder):
    """Neither for calibration nor for evaluation, whatever the answers look like."""
    (folder.path / "m.onnx").write_bytes(weighing(math.nan, 1))
    message = (
        r"the model as given \(model=\) answers no row of evaluate='data.py:samples' with a fin"
    )
    with folder.evaluator() as evaluator:
        with pytest.raises(InvalidData, match=message):
            evaluator.capture()
        with pytest.raises(InvalidData, match=message):
            evaluator.given()


def test_data_that_hang_are_given_up(folder):
    """After a time without a row."""
    evaluator = folder.evaluator("hangs", silence=Silence(drawing_s=1.0))
    with pytest.raises(InvalidData, match="nothing is heard of it for 1 s"), evaluator:
        pass
    assert evaluator.pid is None


FRAGILE = """
    import ctypes
    from edgefn import Model, Tensor, edge_function

    @edge_function(model="m.onnx")
    def f(x: Tensor["float32", 2], model: Model) -> dict[str, str]:
        y = float(model(x[None])[0, 0])
        if abs(y) > 1e6:
            print("about to crash", flush=True)
            ctypes.string_at(0)
        if abs(y) > 100:
            raise RuntimeError("overflow")
        return {"side": "left" if y < 0 else "right"}
"""


def test_a_variant_that_fails_costs_only_itself(folder):
    """One that raises not even the process; after one that crashes the rows are drawn again."""
    folder.write("function.py", FRAGILE)
    with folder.evaluator(batch=1) as evaluator:
        before = evaluator.pid
        with pytest.raises(EvaluationFailed, match="raises RuntimeError: overflow") as caught:
            evaluator.evaluate(folder.variant(1e5, 1e5))
        assert "function.py" in caught.value.detail["traceback"]
        assert evaluator.pid == before
        with pytest.raises(EvaluationFailed, match=r"killed by signal 11 \(SIGSEGV\)") as caught:
            evaluator.evaluate(folder.variant(1e9, 1e9))
        assert caught.value.detail["log"] == ["about to crash"]
        found = evaluator.evaluate(folder.variant(2, 2))
        assert found.scores is not None and all(found.scores)
        assert evaluator.pid != before and gone(before)


def test_a_function_that_hangs_is_given_up(folder):
    """Here with the model as given, which is no fault of a variant."""
    folder.write("function.py", FRAGILE.replace("y = float", "import time; time.sleep(3600); y ="))
    silence = Silence(loading_s=0.5)
    message = "as they are given: running the function: nothing is heard of it for 1 s"
    with folder.evaluator(batch=1, timeout_s=0.5, silence=silence) as evaluator:
        with pytest.raises(InvalidData, match=message):
            evaluator.evaluate(folder.variant(1, 2))
        assert evaluator.pid is None


def test_data_that_change_cannot_be_compared(folder):
    """Which shows as soon as they have to be drawn again."""
    folder.write("function.py", FRAGILE)
    with folder.evaluator("random", batch=1) as evaluator:
        with pytest.raises(EvaluationFailed):
            evaluator.evaluate(folder.variant(1e9, 1e9))
        with pytest.raises(InvalidData, match="other rows each time"):
            evaluator.evaluate(folder.variant(1, 2))


def test_an_interrupted_build_leaves_no_process(folder):
    """Whatever the user's code is doing."""

    def interrupt(share: float) -> None:
        raise KeyboardInterrupt

    pid = None
    with pytest.raises(KeyboardInterrupt), folder.evaluator() as evaluator:
        pid = evaluator.pid
        evaluator.given(interrupt)
    assert pid is not None and gone(pid)


def test_a_coroutine_function_is_evaluated(folder):
    """On one loop for all rows."""
    folder.write("function.py", FRAGILE.replace("def f", "async def f"))
    with folder.evaluator(batch=1) as evaluator:
        scores = evaluator.given().scores
    assert scores is not None and all(scores)
