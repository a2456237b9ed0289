"""`edgefn build` of real functions: interrupted, resumed, and judged."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefn.bundle.build import build
from edgefn.bundle.file import read_bundle
from edgefn.bundle.record import read_record
from edgefn.compress.build_variants import build_variants
from edgefn.compress.cache import Cache
from edgefn.compress.device.profile import Device, Goal
from edgefn.compress.errors import InvalidData
from edgefn.compress.task import Means, Wishes
from edgefn.errors import ConfigError

CLASSES, FEATURES, HIDDEN = 4, 16, 32

FUNCTION = """
import os
import time
from pathlib import Path

from pydantic import BaseModel

from edgefn import Model, Tensor, edge_function

HOLD = Path(os.environ.get("TEST_HOLD", "/nowhere"))


class Answer(BaseModel):
    label: int


def answer(x, number, model):
    while number >= 1000 and HOLD.exists():
        time.sleep(0.01)
    return Answer(label=int(model(x[None])[0].argmax()))


@edge_function(
    model="net.onnx", evaluate="data.py:rows", calibrate="data.py:calibration"
)
def good(x: Tensor["float32", 16], number: int, model: Model) -> Answer:
    return answer(x, number, model)


@edge_function(model="net.onnx", evaluate="data.py:rows", calibrate="data.py:ruined")
def ruined(x: Tensor["float32", 16], number: int, model: Model) -> Answer:
    return answer(x, number, model)


@edge_function
def plain(x: float) -> float:
    return x
"""

DATA = """
import numpy as np


def _rows(seed, count):
    rng = np.random.default_rng(seed)
    for index in range(count):
        label = index % 4
        x = rng.normal(0, 0.3, 16).astype("float32")
        x[label * 4 : label * 4 + 4] += 1
        yield x, label


def rows():
    for index, (x, label) in enumerate(_rows(1, 40)):
        yield {"x": x, "number": 1000 + index}, {"label": label}


def calibration():
    for index, (x, _) in enumerate(_rows(2, 16)):
        yield {"x": x, "number": index}


def ruined():
    for index in range(16):
        yield {"x": np.full(16, 1e-4, "float32"), "number": index}
"""


def net() -> bytes:
    """Sums up the four features of each class, by way of a hidden layer."""
    rng = np.random.default_rng(0)
    mixing = np.linalg.qr(rng.normal(size=(HIDDEN, FEATURES)))[0].T
    classes = np.repeat(np.eye(CLASSES), FEATURES // CLASSES, axis=0)
    first = np.concatenate([mixing, -mixing], axis=1).astype(np.float32)
    second = (first.T @ classes).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "first"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "second"], ["y"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", CLASSES])],
        [
            numpy_helper.from_array(first, "first"),
            numpy_helper.from_array(second, "second"),
        ],
    )
    opset = helper.make_opsetid("", 17)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString())


def write_function(folder: Path) -> Path:
    folder.mkdir()
    (folder / "function.py").write_text(FUNCTION)
    (folder / "data.py").write_text(DATA)
    (folder / "net.onnx").write_bytes(net())
    return folder


@dataclass(frozen=True)
class Outcome:
    """What an interrupted and then a whole build came to."""

    folder: Path
    bundles: Path
    cache: Path
    interrupted_status: int
    made_before: dict[str, int]
    left_by_interruption: list[str]
    said: dict[str, Any]
    notes: str


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while not condition():
        assert process.poll() is None, "the build ended early"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Interrupts a build while it evaluates, and then lets it go on to its end."""
    root = tmp_path_factory.mktemp("build")
    folder = write_function(root / "fn")
    hold, cache = root / "hold", root / "cache/edgefn/variants"
    hold.touch()
    command = [sys.executable, "-m", "edgefn", "build", str(folder), "--json"]
    command += ["--only", "onnx-int8-static"]
    environ = {**os.environ, "XDG_CACHE_HOME": str(root / "cache"), "TEST_HOLD": str(hold)}
    first = subprocess.Popen(
        command, cwd=root, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        until(lambda: cache.is_dir() and len(_entries(cache)) == 2, first)
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=30)
    finally:
        first.kill()
        first.wait()
    made_before, left = _entries(cache), sorted(path.name for path in folder.iterdir())
    hold.unlink()
    second = subprocess.run(
        command, cwd=root, env=environ, capture_output=True, text=True, timeout=90, check=False
    )
    assert second.returncode == 0, second.stderr
    yield Outcome(
        folder=folder,
        bundles=root / "dist",
        cache=cache,
        interrupted_status=first.returncode,
        made_before=made_before,
        left_by_interruption=left,
        said=json.loads(second.stdout),
        notes=second.stderr,
    )


def _entries(cache: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in cache.iterdir() if path.suffix != ".partial"}


def tried(built: Outcome, function: str) -> dict[str, dict[str, Any]]:
    (found,) = (each for each in built.said["built"] if each["function"] == function)
    return {each["name"]: each for each in found["tried"]}


def test_an_interrupted_build_leaves_the_folder_as_it_was(built: Outcome) -> None:
    """It ends with the status of a Ctrl-C."""
    assert built.interrupted_status == 130
    assert built.left_by_interruption == ["data.py", "function.py", "net.onnx"]


def test_the_next_build_makes_nothing_again(built: Outcome) -> None:
    """What was finished before the interruption was not written anew."""
    assert len(built.made_before) == 2
    assert built.made_before.items() <= _entries(built.cache).items()


def test_variants_are_kept_with_what_was_measured_of_them(built: Outcome) -> None:
    """In replicas, for all batches; the record names files that are there."""
    record = read_record(built.folder)
    assert record is not None
    variants = {each.name: each for each in record.functions["good"].variants}
    assert set(variants) == {"onnx-fp32", "onnx-int8-static"}
    for variant in variants.values():
        assert (built.folder / variant.models["model"]).is_file()
        assert variant.measured is not None
        assert [each.batch for each in variant.measured.latencies] == [1, 2, 4, 8, 16]
        assert variant.measured.private_bytes > 0
        assert variant.accuracy == 1.0
    assert tried(built, "good")["onnx-fp16"]["reason"] == "not asked for"


def test_a_ruined_calibration_is_refused_with_the_numbers(built: Outcome) -> None:
    """The gate says how bad it is; the full precision is left."""
    refused = tried(built, "ruined")["onnx-int8-static"]
    assert refused["state"] == "refused"
    assert "against 1.000 (drop" in refused["reason"]
    assert "allowed 1.0" in refused["reason"]
    record = read_record(built.folder)
    assert record is not None
    assert [each.name for each in record.functions["ruined"].variants] == ["onnx-fp32"]


def test_functions_of_one_file_share_the_folder(built: Outcome) -> None:
    """Their files are told apart; a function without a model has none, but a bundle."""
    names = {path.name for path in (built.folder / "variants").iterdir()}
    assert names == {
        "good.onnx-fp32.onnx", "good.onnx-int8-static.onnx", "good.pareto.png",
        "ruined.onnx-fp32.onnx", "ruined.pareto.png", "report.html", "variants.json",
    }  # fmt: skip
    assert [each["function"] for each in built.said["built"]] == ["good", "ruined", "plain"]


def test_the_bundles_are_what_a_deployment_would_send(built: Outcome) -> None:
    """With these variants, without the report and the other function's models."""
    by_name = {each.manifest.spec.name: each for each in build(str(built.folder))}
    for said in built.said["built"]:
        bundle = read_bundle(built.bundles.parent / said["bundle"])
        assert bundle.manifest.digest() == said["digest"]
        assert bundle.manifest == by_name[said["function"]].manifest
    files = {file.path for file in by_name["good"].manifest.files}
    assert files == {
        "data.py", "function.py",
        "variants/good.onnx-fp32.onnx", "variants/good.onnx-int8-static.onnx",
    }  # fmt: skip


class Silent:
    """Shows nothing."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, text: str) -> Any:
        from contextlib import nullcontext

        self.steps.append(text)
        return nullcontext(lambda share: None)

    def note(self, text: str) -> None:
        self.steps.append(text)


def means(tmp_path: Path, **device: Any) -> Means:
    here = Device(name="here", cores=1, memory_bytes=1 << 30, backends={"onnx": "1"}, score=1.0)
    (tmp_path / "work").mkdir()
    return Means(
        goal=Goal(device=Device(**{**_fields(here), **device}), here=here),
        cache=Cache(tmp_path / "cache"),
        progress=Silent(),
        work=tmp_path / "work",
    )


def _fields(device: Device) -> dict[str, Any]:
    return {name: getattr(device, name) for name in device.__struct_fields__}


def test_without_data_only_the_same_model_is_made_simpler(tmp_path: Path) -> None:
    """And every other variant says how to give data."""
    folder = write_function(tmp_path / "fn")
    text = FUNCTION.replace('evaluate="data.py:rows", ', "").replace('evaluate="data.py:rows",', "")
    (folder / "function.py").write_text(text)
    made = build_variants(f"{folder}::good", Wishes(), means(tmp_path))["good"]
    states = {each.name: each.state for each in made.tried}
    assert states["onnx-fp32"] == "kept"
    assert {state for name, state in states.items() if name != "onnx-fp32"} == {"skipped"}
    assert any("--data" in each.reason for each in made.tried)
    (variant,) = build(f"{folder}::good")[0].manifest.variants
    assert variant.name == "onnx-fp32" and variant.measured is None
    assert onnx.load(folder / variant.models["model"]).graph.input[0].name == "x"


def test_a_variant_that_nothing_makes_is_a_mistake_of_usage(tmp_path: Path) -> None:
    """Before anything is run."""
    folder = write_function(tmp_path / "fn")
    with pytest.raises(ConfigError, match="onnx-int3"):
        build_variants(f"{folder}::good", Wishes(only=("onnx-int3",)), means(tmp_path))


def test_a_student_that_is_not_there_is_told_first(tmp_path: Path) -> None:
    """Before a row is drawn or a variant is made."""
    folder = write_function(tmp_path / "fn")
    text = FUNCTION.replace(
        'evaluate="data.py:rows"', 'evaluate="data.py:rows", student="data.py:no"'
    )
    assert text != FUNCTION
    (folder / "function.py").write_text(text)
    given = means(tmp_path)
    with pytest.raises(InvalidData, match="student='data.py:no': data.py has no 'no'"):
        build_variants(f"{folder}::good", Wishes(), given)
    assert isinstance(given.progress, Silent) and given.progress.steps == []
