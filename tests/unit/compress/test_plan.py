"""What is tried, and why the rest is not."""

from dataclasses import dataclass

import pytest

from edgefn.compress.device.profile import Device
from edgefn.compress.plan import NO_DATA, plan
from edgefn.compress.recipe import Format, Material, Source
from edgefn.errors import ConfigError

SMALL = Source(data=b"small", format="onnx")
CONVOLVED = Source(data=b"conv", format="onnx")
HERE = Device(
    name="here", cores=1, memory_bytes=1, backends={"onnx": "1", "litert": "1"}, score=1.0
)


@dataclass(frozen=True)
class FakeRecipe:
    """Works on models that are not convolved, if its tool is there."""

    name: str
    format: Format = "onnx"
    tool: str = ""
    summary: str = ""
    version: str = "1"

    def missing(self) -> str:
        return f"needs {self.tool}" if self.tool else ""

    def skip(self, source: Source) -> str:
        assert not self.tool, "what may need the tool must not be asked without it"
        return "it has convolutions" if source is CONVOLVED and "dynamic" in self.name else ""

    def make(self, source: Source, material: Material) -> bytes:
        raise AssertionError("a plan makes nothing")


RECIPES = (
    FakeRecipe("onnx-fp32"),
    FakeRecipe("onnx-int8-dynamic"),
    FakeRecipe("onnx-pruned-25", tool="torch"),
    FakeRecipe("litert-fp32", format="tflite"),
)


def skips(
    *models: Source, device: Device = HERE, has_data: bool = True, only: tuple[str, ...] = ()
) -> list[str]:
    sources = {f"m{index}": model for index, model in enumerate(models)}
    steps = plan(RECIPES, sources, device=device, has_data=has_data, only=only)
    assert [step.recipe for step in steps] == list(RECIPES)
    return [step.skip for step in steps]


def test_a_recipe_is_tried_unless_its_tool_is_missing_or_the_model_does_not_suit() -> None:
    """The reasons are the recipe's own."""
    assert skips(SMALL) == ["", "", "needs torch", ""]
    assert skips(CONVOLVED) == ["", "it has convolutions", "needs torch", ""]


def test_a_recipe_must_work_on_every_model_of_the_function() -> None:
    """The one that it does not suit is named."""
    assert skips(SMALL, CONVOLVED)[1] == "m1: it has convolutions"


def test_without_data_only_what_changes_no_answer_is_made() -> None:
    """And how to give data is said."""
    assert skips(SMALL, has_data=False) == ["", NO_DATA, NO_DATA, NO_DATA]


def test_a_backend_that_the_device_lacks_is_named() -> None:
    """Nothing is made that could not be served."""
    board = Device(name="board", cores=1, memory_bytes=1, backends={"onnx": "1"}, score=1.0)
    assert skips(SMALL, device=board)[3] == "the device board has no backend litert"


def test_only_what_is_asked_for_is_tried_beside_the_reference() -> None:
    """The reference is what the others are compared with."""
    assert skips(SMALL, only=("litert-fp32",)) == ["", "not asked for", "not asked for", ""]


def test_a_name_that_no_recipe_makes_lists_those_that_there_are() -> None:
    """It is a mistake of usage."""
    with pytest.raises(ConfigError, match="'onnx-int3'; there are onnx-fp32, onnx-int8-dynamic"):
        plan(RECIPES, {"m": SMALL}, device=HERE, has_data=True, only=("onnx-int3",))
