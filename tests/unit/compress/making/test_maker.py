"""Variants are made once, and a recipe that ends its process costs no more than its variant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgefn.bundle.description import Declared
from edgefn.compress.cache import Cache
from edgefn.compress.children.process import ChildDied
from edgefn.compress.making import maker as making
from edgefn.compress.making.maker import Maker
from edgefn.compress.making.messages import Finished, Make
from edgefn.compress.recipe import Format, Material, RecipeFailed, Source
from edgefn.compress.task import Task
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec

MATERIAL = Material(rows=[], outputs=[], seed=5)


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

    script: list[Finished | float | Exception]
    started = 0

    def __init__(self, module: str, kind: object, work: Path) -> None:
        assert work.is_dir()
        FakeMaker.started += 1
        self._asked: list[Make] = []

    def send(self, message: Make) -> None:
        self._asked.append(message)

    def receive(self, timeout_s: float, on_share: Callable[[float], None]) -> Finished:
        while isinstance(told := FakeMaker.script.pop(0), float):
            on_share(told)
        if isinstance(told, Exception):
            raise told
        if not told.failure:
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
    maker: Maker, script: Sequence[Finished | float | Exception]
) -> tuple[dict[str, bytes], list[float]]:
    FakeMaker.script = list(script)
    shares: list[float] = []
    with maker:
        made = maker.make(FakeRecipe(), shares.append)
    assert not FakeMaker.script, "not all was asked for"
    return made, shares


def test_all_models_of_a_function_are_made_and_then_known(maker: Maker) -> None:
    """The share is that of all of them; the second time no process is needed."""
    made, shares = make(maker, [0.5, Finished(), 0.5, Finished()])
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
