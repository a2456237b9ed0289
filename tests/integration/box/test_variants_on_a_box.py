"""Several variants of one function on a real box: chosen, started, tried, quarantined."""

import hashlib
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import onnx
import pytest
from onnx import TensorProto, helper

from edgefn.bundle.build import Bundle, build
from edgefn.bundle.record import FunctionRecord, Record, path_of
from edgefn.client import Client
from edgefn.errors import (
    AccuracyUnattainable,
    DeploymentFailed,
    UnknownVariant,
    VariantUnavailable,
)
from edgefn_runtime.variant import Estimate, Latency, Measurement, Variant

Eventually = Callable[..., Any]

CODE = """
    import os
    from edgefn import Model, Tensor, edge_function

    @edge_function(name="{name}", model="plus.onnx", {options})
    def {name}(x: Tensor["float32", 2], model: Model) -> list[float]:
        if x[0] == 666.0 and model(x)[0] == 668.0:
            os.abort()
        if x[0] == 7.0:
            {trap}
        if x[0] < 0:
            raise ValueError("negative")
        return [float(value) for value in model(x)]
"""


def plus(amount: float) -> bytes:
    """Returns a model that adds a number: its answer says which variant gave it."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    constant = helper.make_tensor("c", TensorProto.FLOAT, [1], [amount])
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "c"], ["y"])], "plus", [x], [y], [constant]
    )
    opsets = [helper.make_opsetid("", 17)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    onnx.checker.check_model(onnx.load_from_string(model))
    return model


def measured(size_bytes: int, accuracy: float) -> Measurement:
    return Measurement(
        size_bytes=size_bytes,
        load_s=0.01,
        private_bytes=1_000_000,
        latencies=(Latency(batch=1, p50_s=0.001, p95_s=0.002),),
        accuracy=Estimate(value=accuracy, low=accuracy - 0.01, high=accuracy + 0.01, rows=100),
    )


@pytest.fixture
def build_variants(tmp_path: Path) -> Callable[..., Bundle]:
    """Builds a function with variants that add 1, 2 and 3, as if they had been compressed."""

    def make(
        name: str,
        options: str = "",
        *,
        samples: dict[str, str] | None = None,
        trap: str = "pass",
        tag: str = "",
    ) -> Bundle:
        folder = tmp_path / f"{name}{tag}"
        (folder / "variants").mkdir(parents=True)
        code = textwrap.dedent(CODE.format(name=name, options=options, trap=trap))
        (folder / "function.py").write_text(code)
        (folder / "plus.onnx").write_bytes(plus(1.0))
        for sample, text in (samples or {}).items():
            (folder / "samples").mkdir(exist_ok=True)
            (folder / "samples" / sample).write_text(text)
        _write_record(folder, name)
        (bundle,) = build(str(folder))
        return bundle

    return make


def _write_record(folder: Path, name: str) -> None:
    variants, digests = [], {}
    for index, (variant, backend) in enumerate(
        [("onnx-quick", "onnx"), ("onnx-exact", "onnx"), ("odd", "quantum")]
    ):
        data = plus(index + 1.0)
        path = f"variants/{variant}.onnx"
        (folder / path).write_bytes(data)
        digests[path] = hashlib.sha256(data).hexdigest()
        variants.append(
            Variant(
                name=variant,
                backend=backend,
                models={"model": path},
                recipe=f"plus {index + 1}",
                measured=measured(len(data), 0.9 + index / 20),
            )
        )
    given = hashlib.sha256((folder / "plus.onnx").read_bytes()).hexdigest()
    record = FunctionRecord(given={"model": given}, variants=tuple(variants), digests=digests)
    path_of(folder).write_bytes(msgspec.json.encode(Record(functions={name: record})))


BuildVariants = Callable[..., Bundle]


def test_each_variant_answers_those_who_ask_for_it(
    shared_box: Any, build_variants: BuildVariants, eventually: Eventually
) -> None:
    """The first by default; another one starts with its first call, and rests when it is idle."""
    options = "scale={'min': 1, 'max': 3, 'idle_s': 0.5}"
    shared_box.admin.deploy(build_variants("several", options))
    with Client(shared_box.url) as client:
        answer = client.call("several", x=[0.0, 1.0])
        assert (answer.value, answer.variant) == ([1.0, 2.0], "onnx-quick")
        answer = client.call("several", x=[0.0, 1.0], variant="onnx-exact")
        assert (answer.value, answer.variant) == ([2.0, 3.0], "onnx-exact")
        assert answer.cold_ms > 0
        assert client.call("several", x=[0.0, 1.0], min_accuracy=0.93).variant == "onnx-exact"
        with pytest.raises(UnknownVariant, match="onnx-quick, onnx-exact, odd"):
            client.call("several", x=[0.0, 1.0], variant="onnx")
        with pytest.raises(VariantUnavailable, match="no backend 'quantum'"):
            client.call("several", x=[0.0, 1.0], variant="odd")
        with pytest.raises(AccuracyUnattainable, match="variant onnx-quick of 'several' has 0.9"):
            client.call("several", x=[0.0, 1.0], variant="onnx-quick", min_accuracy=0.999)
    status = shared_box.admin.function("several")
    states = [(one.name, one.default, one.state) for one in status.variants]
    assert states == [
        ("onnx-quick", True, "available"),
        ("onnx-exact", False, "available"),
        ("odd", False, "unavailable"),
    ]
    eventually(lambda: [r.variant for r in shared_box.replicas("several")] == ["onnx-quick"])
    text = shared_box.http.request("GET", f"{shared_box.url}/metrics").data.decode()
    assert 'edgefn_variant_calls_total{function="several",variant="onnx-exact"} 2.0' in text


def test_the_floor_of_a_function_holds_for_its_default(
    shared_box: Any, build_variants: BuildVariants
) -> None:
    """What was measured below it is not served; if nothing is left, nothing is deployed."""
    status = shared_box.admin.deploy(build_variants("floored", "min_accuracy=0.93"))
    assert [one.name for one in status.variants if one.default] == ["onnx-exact"]
    assert shared_box.call("floored", x=[1.0, 1.0]).json() == [3.0, 3.0]
    with pytest.raises(DeploymentFailed) as caught:
        shared_box.admin.deploy(build_variants("floored", "min_accuracy=0.99", tag="higher"))
    for told in ("no variant of floored", "floor of 0.99", "backend 'quantum'"):
        assert told in caught.value.message
    assert shared_box.admin.function("floored").revision == 1


def test_a_variant_that_dies_too_often_takes_no_other_along(
    shared_box: Any, build_variants: BuildVariants, eventually: Eventually
) -> None:
    """Its callers are told; the function serves on."""
    shared_box.admin.deploy(build_variants("fragile"))
    with Client(shared_box.url) as client:
        for count in range(1, 6):
            exact = shared_box.http.request(
                "POST",
                f"{shared_box.url}/v1/functions/fragile",
                json={"x": [666.0, 0.0]},
                headers={"Edgefn-Variant": "onnx-exact"},
            )
            assert exact.status == 502
            eventually(lambda n=count: shared_box.admin.function("fragile").deaths == n)
        status = shared_box.admin.function("fragile")
        assert (status.state, [one.state for one in status.variants][:2]) == (
            "serving",
            ["available", "quarantined"],
        )
        assert client.call("fragile", x=[666.0, 0.0]).value == [667.0, 1.0]
    refused = shared_box.http.request(
        "POST",
        f"{shared_box.url}/v1/functions/fragile",
        json={"x": [0.0, 0.0]},
        headers={"Edgefn-Variant": "onnx-exact"},
    )
    assert (refused.status, refused.json()["error"]["code"]) == (503, "quarantined")


FAILURES = {
    "raising": ("[-1, 2]", "pass", "function_failed: ValueError: negative"),
    "unfit": ("[1, 2, 3]", "pass", "invalid_input: "),
    "slow": ("[7, 7]", "while True: pass", "timed out after 0.3 s"),
    "crashing": ("[7, 7]", "os.abort()", "killed by SIGABRT"),
}


def test_a_revision_that_fails_its_samples_never_serves(
    shared_box: Any, build_variants: BuildVariants
) -> None:
    """The old one goes on, and the history says which sample it was, and why."""
    shared_box.admin.deploy(build_variants("tried"))
    for tag, (x, trap, reason) in FAILURES.items():
        samples = {"a.json": '{"x": [1, 2]}', "b.json": f'{{"x": {x}}}'}
        bundle = build_variants("tried", "timeout_s=0.3", samples=samples, trap=trap, tag=tag)
        with pytest.raises(DeploymentFailed, match="does not answer its sample samples/b.json: "):
            shared_box.admin.deploy(bundle)
        newest = shared_box.admin.history("tried")[0]
        assert newest.state == "failed"
        assert reason in newest.reason
        assert shared_box.call("tried", x=[1.0, 1.0]).json() == [2.0, 2.0]


def test_an_update_begins_with_as_many_replicas_as_there_were(
    shared_box: Any, build_variants: BuildVariants, eventually: Eventually
) -> None:
    """What served under load is not replaced by a single replica."""
    options = "scale={'min': 3, 'max': 4}"
    shared_box.admin.deploy(build_variants("wide", options))
    eventually(lambda: len(shared_box.replicas("wide")) == 3)
    before = {one.replica for one in shared_box.replicas("wide")}
    status = shared_box.admin.deploy(build_variants("wide", options, trap="x", tag="2"))
    ready = {one.replica for one in status.replicas if one.state == "ready"}
    assert len(ready - before) == 3


def test_samples_of_each_kind_are_answered(
    shared_box: Any, make_bundle: Callable[[str], Bundle], tmp_path: Path
) -> None:
    """A file's suffix says how it is sent."""
    folder = tmp_path / "kinds"
    (folder / "samples").mkdir(parents=True)
    (folder / "function.py").write_text(
        textwrap.dedent(
            """
            from edgefn import edge_function

            @edge_function(name="kinds")
            def kinds(x: int) -> int:
                print("asked", x, flush=True)
                return x
            """
        )
    )
    (folder / "samples" / "a.json").write_text(json.dumps({"x": 1}))
    (folder / "samples" / "b.msgpack").write_bytes(msgspec.msgpack.encode({"x": 2}))
    (bundle,) = build(str(folder))
    shared_box.admin.deploy(bundle)
    lines = [line.text for line in shared_box.admin.log_page("kinds").lines]
    assert lines == ["asked 1", "asked 2"]
