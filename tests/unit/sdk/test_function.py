"""`@edge_function`: what it declares, and how it refuses a wrong declaration."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pydantic
import pytest
from onnx import TensorProto, helper

import edgefn
from edgefn import DeclarationError, LoadFailed, Model, Scale, Tensor, edge_function
from edgefn.errors import FunctionFailed, InvalidInput


def plain(x: int) -> int:
    return x + 1


def double_model() -> bytes:
    """Returns an ONNX model that doubles its input."""
    shape: list[Any] = ["n", 2]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "double",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def test_with_and_without_parentheses() -> None:
    """Both forms declare the same, and the function stays callable."""
    for declared in (edge_function(plain), edge_function()(plain)):
        assert declared(2) == 3
        assert declared.spec.name == "plain"
        assert declared.__name__ == "plain"


def test_milliseconds_become_seconds() -> None:
    """What a developer writes in ms is held in s."""
    assert edge_function(deadline_ms=50)(plain).spec.deadline_s == 0.05


def test_the_first_paragraph_is_the_description() -> None:
    """What a caller reads is what the developer wrote first."""

    @edge_function
    def told(x: int) -> int:
        """Adds one,
        and returns it.

        Not this.
        """
        return x + 1

    assert told.spec.doc == "Adds one, and returns it."


@pytest.mark.parametrize(
    ("given", "scale"),
    [
        (None, Scale(min=1, max=4, idle_s=300.0)),
        ((0, 2), Scale(min=0, max=2)),
        ((0, 2, 5), Scale(min=0, max=2, idle_s=5)),
        ({"min": 0, "idle_s": 1.5}, Scale(min=0, idle_s=1.5)),
        (Scale(min=2), Scale(min=2)),
    ],
)
def test_scale_is_written_as_one_likes(given: Any, scale: Scale) -> None:
    """A tuple, a mapping and a Scale mean the same."""
    assert edge_function(scale=given)(plain).spec.scale == scale


def test_an_async_function_stays_one() -> None:
    """Called directly, it returns a coroutine."""

    @edge_function
    async def waits(x: int) -> int:
        await asyncio.sleep(0)
        return x

    assert waits.spec.is_async
    assert asyncio.run(waits(3)) == 3


def test_a_class_is_set_up_once() -> None:
    """The constructor is the set-up of a replica, not of a call."""

    @edge_function
    class CounterOfCalls:
        def __init__(self) -> None:
            self.calls = 0

        def __call__(self, by: int = 1) -> int:
            self.calls += by
            return self.calls

    assert CounterOfCalls.spec.name == "counter_of_calls"
    assert [CounterOfCalls(), CounterOfCalls(by=2)] == [1, 3]


def test_a_model_is_injected_and_runs(tmp_path: Path) -> None:
    """In a plain script the same backend runs the same file, in functions and in classes."""
    (tmp_path / "double.onnx").write_bytes(double_model())
    (tmp_path / "function.py").write_text(
        """
import numpy as np
from edgefn import Model, Tensor, edge_function

@edge_function(model="double.onnx", batch=4)
def double(x: list[Tensor["float32", 2]], model: Model) -> list[Tensor["float32", 2]]:
    return list(model(np.stack(x)))

@edge_function(model={"first": "double.onnx", "second": "double.onnx"})
class Quadruple:
    def __init__(self, first: Model) -> None:
        self.first = first

    def __call__(self, x: Tensor["float32", 1, 2], second: Model) -> Tensor["float32", 1, 2]:
        return second(self.first(x))

row = np.array([1.0, 2.0], "float32")
assert [answer.tolist() for answer in double([row, row])] == [[2.0, 4.0]] * 2
assert Quadruple(row[None]).tolist() == [[4.0, 8.0]]
assert double.spec.models == {"model": "double.onnx"}
"""
    )
    subprocess.run([sys.executable, tmp_path / "function.py"], check=True, cwd="/")


def test_a_missing_model_is_named_at_the_first_call() -> None:
    """Declaring reads no file, so that the script that makes the model can import the function."""

    @edge_function(model="none.onnx")
    def missing(x: int, model: Model) -> int:
        return x

    with pytest.raises(LoadFailed, match=r"no model file 'none\.onnx'"):
        missing(1)


def untyped(x) -> int:  # type: ignore[no-untyped-def]
    return int(x)


def unanswered(x: int):  # type: ignore[no-untyped-def]
    return x


def starred(*xs: int) -> int:
    return len(xs)


def positional(x: int, /) -> int:
    return x


def with_model(x: int, net: Model) -> int:
    return x


def two_models(x: int, first: Model, second: Model) -> int:
    return x


def generator(x: int) -> int:
    yield x  # type: ignore[misc]


def with_default(x: list[int] = 3) -> list[int]:  # type: ignore[assignment]
    return x


def unknown_type(x: "Nowhere") -> int:  # type: ignore[name-defined]
    return 1


def no_schema(x: asyncio.Lock) -> int:
    return 1


class Uncallable:
    """Has no __call__."""

    def run(self, x: int) -> int:
        return x


class Needy:
    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, x: int) -> int:
        return x


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    (lambda: edge_function("voice"), "options are named; write @edge_function(name='voice')"),
    (lambda: edge_function(3), "a function or class was expected under it"),
    (lambda: edge_function(plain, name="x"), "with options only"),
    (
        lambda: edge_function(deadline=3)(plain),
        "unknown option deadline=. Did you mean deadline_ms=",
    ),
    (lambda: edge_function(zzz=3)(plain), "unknown option zzz=. There are name, model"),
    (lambda: edge_function(edge_function(plain)), "decorated twice"),
    (lambda: edge_function(untyped), "'x' has no annotation; write its type"),
    (lambda: edge_function(unanswered), "annotate what it returns"),
    (lambda: edge_function(starred), "*xs has no schema; name each parameter"),
    (lambda: edge_function(positional), "'x' is positional-only"),
    (lambda: edge_function(generator), "it yields; return one answer"),
    (lambda: edge_function(unknown_type), "names 'Nowhere', which its module does not have"),
    (lambda: edge_function(no_schema), "Write builtins, pydantic models, Tensor[...]"),
    (lambda: edge_function(Uncallable), "the class has no __call__; write `def __call__"),
    (lambda: edge_function(Needy), "give 'path' a default, or annotate it with Model"),
    (lambda: edge_function(Uncallable.run), "decorate the class"),
    (lambda: edge_function(with_model), 'no model is named; write model="file.onnx"'),
    (lambda: edge_function(model="a.onnx")(plain), "add a parameter such as `model: Model`"),
    (lambda: edge_function(model="a.onnx")(two_models), 'write model={"first": "...", "second"'),
    (lambda: edge_function(model={"a": "a.onnx"})(with_model), "annotated with Model are ['net']"),
    (lambda: edge_function(model="a.pkl")(with_model), "neither .onnx nor .tflite"),
    (lambda: edge_function(model="../a.onnx")(with_model), "must lie in the function's folder"),
    (lambda: edge_function(model=3)(with_model), 'is not a path; write model="file.onnx"'),
    (lambda: edge_function(name="My Function")(plain), "cannot be a name in a URL"),
    (lambda: edge_function(deadline_ms=0)(plain), "not a positive number; write deadline_ms=50"),
    (lambda: edge_function(deadline_ms="50")(plain), "not a positive number"),
    (lambda: edge_function(timeout_s=float("nan"))(plain), "write timeout_s=30"),
    (lambda: edge_function(min_accuracy=90)(plain), "write 90 % as min_accuracy=0.90"),
    (lambda: edge_function(tiers="edge")(plain), "write tiers=('edge',)"),
    (lambda: edge_function(tiers=())(plain), "no list of names"),
    (lambda: edge_function(batch=0)(plain), "not a whole number from 1 to 1024"),
    (lambda: edge_function(batch=4)(plain), "annotate 'x' as list[...]"),
    (lambda: edge_function(batch=4)(with_default), "'x' has a default"),
    (lambda: edge_function(scale=(3, 2))(plain), "0 <= min <= max"),
    (lambda: edge_function(scale=(0, 0))(plain), "max >= 1"),
    (lambda: edge_function(scale={"minimum": 1})(plain), "scale has no 'minimum'; write scale="),
    (lambda: edge_function(scale="auto")(plain), "write scale=(0, 4, 60)"),
    (lambda: edge_function(requirements="scipy")(plain), "write requirements=('scipy',)"),
    (lambda: edge_function(requirements=["sci py"])(plain), "requirement 'sci py'"),
    (lambda: edge_function(objective="latancy")(plain), "did you mean 'latency'"),
    (lambda: edge_function(priority=10)(plain), "write priority=9 for an alarm"),
    (lambda: edge_function(priority=True)(plain), "not a whole number from 0 to 9"),
    (lambda: edge_function(idempotent="yes")(plain), "write idempotent=True"),
    (lambda: edge_function(escalate_below=80)(plain), "write 90 % as escalate_below=0.90"),
    (lambda: edge_function(escalate_below=0.8)(plain), "with `confidence: float`"),
    (lambda: edge_function(degrade=True)(plain), "write min_accuracy= as well"),
    (lambda: edge_function(degrade=1, min_accuracy=0.9)(plain), "neither True nor False"),
]


@pytest.mark.parametrize(("declare", "message"), MISTAKES, ids=[text for _, text in MISTAKES])
def test_a_mistake_says_what_to_write(declare: Callable[[], Any], message: str) -> None:
    """Each mistake raises when it is declared, and teaches."""
    with pytest.raises(DeclarationError) as caught:
        declare()
    assert message in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_batched_function_without_a_list_to_return() -> None:
    """The answer of a batched function is a list, too."""
    with pytest.raises(DeclarationError, match=r"annotate it as -> list\[\.\.\.\]"):

        @edge_function(batch=2)
        def flat(x: list[int]) -> int:
            return len(x)


def test_arguments_are_checked_by_their_path() -> None:
    """A nested mistake is named by its place."""

    @edge_function
    def nested(rows: list[dict[str, int]]) -> int:
        return len(rows)

    with pytest.raises(InvalidInput, match=r"rows\[1\]\.b: Input should be a valid integer"):
        nested.signature.bind({"rows": [{"a": 1}, {"b": "x"}]})


def test_free_dimensions_agree_across_parameters() -> None:
    """One name is one number in one call."""

    @edge_function
    def dot(a: Tensor["float32", "n"], b: Tensor["float32", "n"]) -> float:
        return float(a @ b)

    three, four = np.zeros(3, "float32"), np.zeros(4, "float32")
    dot.signature.bind({"a": three, "b": three})
    with pytest.raises(InvalidInput, match="b: dimension 'n' is 4, but 3 in a"):
        dot.signature.bind({"a": three, "b": four})


def test_an_answer_that_breaks_its_promise_is_the_functions_fault() -> None:
    """The annotation of the answer is checked as well."""
    declared = edge_function(plain)
    with pytest.raises(FunctionFailed, match="plain returned what its annotation does not"):
        declared.signature.dump("many")


def test_public_names_are_what_all_says() -> None:
    """`__all__` is sorted, complete, and every name resolves."""
    assert sorted(edgefn.__all__) == edgefn.__all__
    for name in edgefn.__all__:
        assert getattr(edgefn, name) is not None


def test_importing_the_sdk_loads_no_server_and_no_engine() -> None:
    """A replica pays only for what it uses."""
    heavy = ["aiohttp", "onnxruntime", "ai_edge_litert", "PIL", "typer", "urllib3", "rich"]
    probe = f"import edgefn, sys; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-I", "-c", probe], check=True, capture_output=True, text=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["functions", "runtime", "deploy", "tests", "examples"])
def test_a_generic_folder_is_not_importable(name: str) -> None:
    """An installed edgefn does not claim names that belong to everyone."""
    probe = f"import importlib.util as u; raise SystemExit(u.find_spec({name!r}) is not None)"
    assert subprocess.run([sys.executable, "-I", "-c", probe], check=False).returncode == 0


def test_a_type_without_a_json_form_is_refused_when_the_schema_is_made() -> None:
    """What Python can check but no caller can send is a mistake of the declaration."""

    @edge_function
    def calls_back(callback: Callable[[int], int]) -> int:
        return callback(1)

    with pytest.raises(DeclarationError, match="has no JSON form, so nobody could call it"):
        assert calls_back.signature.described


def test_the_schema_is_made_only_when_it_is_asked_for() -> None:
    """A replica that only answers calls does not pay for it."""

    @edge_function
    def quiet(x: int) -> int:
        return x

    assert quiet.signature.bind({"x": 1}) == {"x": 1}
    assert "_json_schemas" not in vars(quiet.signature)


def test_how_calls_are_routed_is_declared() -> None:
    """Priority, idempotency, doubt and degradation stand in the spec."""

    class Verdict(pydantic.BaseModel):
        label: str
        probability: float

    @edge_function(priority=9, idempotent=True, escalate_below=0.8, min_accuracy=0.9, degrade=True)
    def alarm(x: float) -> Verdict:
        return Verdict(label="fire", probability=x)

    spec = alarm.spec
    assert (spec.priority, spec.idempotent, spec.escalate_below, spec.degrade) == (
        9,
        True,
        0.8,
        True,
    )
    spec = edge_function(plain).spec
    assert (spec.priority, spec.idempotent, spec.escalate_below, spec.degrade) == (
        5,
        False,
        None,
        False,
    )


def test_a_flag_is_no_confidence() -> None:
    """Nor is a text: only a number says how sure an answer is."""

    class Flag(pydantic.BaseModel):
        confidence: bool

    class Text(pydantic.BaseModel):
        probability: str

    for answer in (Flag, Text):

        def doubtful(x: float):
            return x

        doubtful.__annotations__["return"] = answer
        with pytest.raises(DeclarationError, match="an answer that says how sure it is"):
            edge_function(escalate_below=0.5)(doubtful)
