"""Variants are made once, and a recipe that ends its process costs no more than its variant."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgefn.bundle.description import Declared
from edgefn.compress import making
from edgefn.compress.cache import Cache
from edgefn.compress.child_process import ChildDied
from edgefn.compress.maker_messages import Finished, FromMaker, Make, Share
from edgefn.compress.making import Maker
from edgefn.compress.material_file import read_material, write_material
from edgefn.compress.recipe import Format, Material, RecipeFailed, Source
from edgefn.compress.task import Task
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec

MATERIAL = Material(
    rows=[{"x": np.arange(3.0), "a/b": np.ones((1, 2))}, {"x": np.zeros(3), "a/b": np.zeros(2)}],
    outputs=[[np.ones(1), np.ones(2)], [np.zeros(1), np.zeros(2)]],
    seed=5,
)


@dataclass(frozen=True)
class FakeRecipe:
    name: str = "onnx-fake"
    version: str = "1"
    summary: str = ""
    format: Format = "onnx"

    def missing(self) -> str:
        return ""

    def skip(self, source: Source) -> str:
        return ""

    def make(self, source: Source, material: Material) -> bytes:
        raise AssertionError("recipes run in the maker's process")


class FakeMaker:
    """Stands for the process: answers as it is told to, and counts itself."""

    script: list[FromMaker | Exception]
    started = 0

    def __init__(self, module: str, kind: object) -> None:
        FakeMaker.started += 1
        self._asked: list[Make] = []

    def send(self, message: Make) -> None:
        self._asked.append(message)

    def receive(self, timeout_s: float) -> FromMaker:
        told = FakeMaker.script.pop(0)
        if isinstance(told, Exception):
            raise told
        if isinstance(told, Finished) and not told.failure:
            asked = self._asked[-1]
            Path(asked.result).write_bytes(Path(asked.source).read_bytes() * 2)
        return told

    def close(self) -> None:
        pass


@pytest.fixture
def maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    monkeypatch.setattr(making, "ChildProcess", FakeMaker)
    FakeMaker.started = 0
    (tmp_path / "a.onnx").write_bytes(b"A")
    (tmp_path / "b.onnx").write_bytes(b"B")
    (tmp_path / "work").mkdir()
    declared = Declared(
        attribute="f",
        spec=FunctionSpec(name="f", models={"a": "a.onnx", "b": "b.onnx"}),
        schema=FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=()),
    )
    task = Task(file=tmp_path / "function.py", declared=declared, code_digest="")
    return Maker(
        task=task,
        sources=task.sources(),
        materials={"a": MATERIAL, "b": MATERIAL},
        data_digest="d",
        cache=Cache(tmp_path / "cache"),
        work=tmp_path / "work",
    )


def make(
    maker: Maker, script: Sequence[FromMaker | Exception]
) -> tuple[dict[str, bytes], list[float]]:
    FakeMaker.script = list(script)
    shares: list[float] = []
    with maker:
        made = maker.make(FakeRecipe(), shares.append)
    assert not FakeMaker.script, "not all was asked for"
    return made, shares


def test_all_models_of_a_function_are_made_and_then_known(maker: Maker) -> None:
    """The share is that of all of them; the second time no process is needed."""
    made, shares = make(maker, [Share(0.5), Finished(), Share(0.5), Finished()])
    assert made == {"a": b"AA", "b": b"BB"}
    assert shares == [0.25, 0.75]
    assert make(maker, []) == (made, [])
    assert FakeMaker.started == 1


def test_a_recipe_that_does_not_work_is_not_tried_again(maker: Maker) -> None:
    """The model that it fails on is named."""
    for script in ([Finished("no", is_final=True)], []):
        with pytest.raises(RecipeFailed, match="^a: no$"):
            make(maker, script)


def test_a_recipe_that_ends_its_process_is_tried_again(maker: Maker) -> None:
    """By another build; in this one its variant is left out."""
    with pytest.raises(RecipeFailed, match="killed by signal 11"):
        make(maker, [ChildDied("its process was killed by signal 11 (SIGSEGV)")])
    made, _ = make(maker, [Finished(), Finished()])
    assert made == {"a": b"AA", "b": b"BB"}
    assert FakeMaker.started == 2


def test_a_material_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Names of inputs may be any, and the order of outputs is kept."""
    write_material(MATERIAL, tmp_path / "m")
    found = read_material(tmp_path / "m", 2, 5, lambda share: None)
    for row, expected in zip(found.rows, MATERIAL.rows, strict=True):
        assert list(row) == list(expected)
        assert all((row[name] == expected[name]).all() for name in expected)
    for outputs, wanted in zip(found.outputs, MATERIAL.outputs, strict=True):
        assert [each.tolist() for each in outputs] == [each.tolist() for each in wanted]
    assert found.seed == 5
