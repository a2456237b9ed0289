"""Models that were made to do harm: each is refused, and what served serves on."""

import dataclasses
import os
import random
import textwrap
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefn.bundle.build import Bundle, build
from edgefn.bundle.content import Content
from edgefn.bundle.keys import config_dir, own_key
from edgefn.bundle.signing import sign
from edgefn.errors import DeploymentFailed
from edgefn_runtime.manifest import BundleFile

MUTANTS = 24
CODE = """
    from edgefn import Model, Tensor, edge_function

    @edge_function(name="target", model="model.onnx", timeout_s=0.5)
    def target(x: Tensor["float32", 1, "n"], model: Model) -> list[float]:
        return [float(value) for value in model(x).ravel()[:4]]
"""
SAMPLE = '{"x": [[1.0, 2.0]]}'
OPSET = helper.make_opsetid("", 17)


def model_of(
    nodes: list[Any],
    initializers: list[Any] | None = None,
    opsets: list[Any] | None = None,
    functions: list[Any] | None = None,
) -> bytes:
    """Returns a model from a float x with a free dimension to a float y."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "n"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], initializers or [])
    model = helper.make_model(
        graph, opset_imports=opsets or [OPSET], ir_version=8, functions=functions or []
    )
    data: bytes = model.SerializeToString()
    return data


def good() -> bytes:
    weights = numpy_helper.from_array(np.ones((1, 2), np.float32), "w")
    return model_of([helper.make_node("Add", ["x", "w"], ["y"])], [weights])


def external(location: str) -> bytes:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="length", value="8")
    return model_of([helper.make_node("Add", ["x", "w"], ["y"])], [tensor])


def huge() -> bytes:
    """Asks for 4 TiB."""
    shape = numpy_helper.from_array(np.array([2**40], np.int64), "shape")
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["big"]),
        helper.make_node("ReduceMax", ["big"], ["m"], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    return model_of(nodes, [shape])


def long_range() -> bytes:
    ends = [
        numpy_helper.from_array(np.array(value, np.int64), name)
        for name, value in (("start", 0), ("limit", 10**12), ("delta", 1))
    ]
    nodes = [
        helper.make_node("Range", ["start", "limit", "delta"], ["r"]),
        helper.make_node("Cast", ["r"], ["y"], to=TensorProto.FLOAT),
    ]
    return model_of(nodes, ends)


def endless() -> bytes:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["v", "v"], ["doubled"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("doubled", TensorProto.FLOAT, None),
        ],
    )
    trips = numpy_helper.from_array(np.array(2**62, np.int64), "trips")
    always = numpy_helper.from_array(np.array(True), "always")
    loop = helper.make_node("Loop", ["trips", "always", "x"], ["y"], body=body)
    return model_of([loop], [trips, always])


def nested(depth: int = 3000) -> bytes:
    """Each local function calls the next: more than a stack holds."""
    own = helper.make_opsetid("own", 1)
    functions = [
        helper.make_function(
            "own", f"f{level}", ["a"], ["b"],
            [
                helper.make_node(f"f{level + 1}", ["a"], ["b"], domain="own")
                if level + 1 < depth
                else helper.make_node("Identity", ["a"], ["b"])
            ],
            [OPSET, own],
        )
        for level in range(depth)
    ]  # fmt: skip
    first = helper.make_node("f0", ["x"], ["y"], domain="own")
    return model_of([first], opsets=[OPSET, own], functions=functions)


def foreign() -> bytes:
    node = helper.make_node("Anything", ["x"], ["y"], domain="com.example")
    return model_of([node], opsets=[OPSET, helper.make_opsetid("com.example", 1)])


def from_the_future() -> bytes:
    node = helper.make_node("Identity", ["x"], ["y"])
    return model_of([node], opsets=[helper.make_opsetid("", 9999)])


ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "model.onnx: "),
    "random": (lambda: random.Random(1).randbytes(5000), "model.onnx: "),
    "truncated": (lambda: good()[:-20], "model.onnx: "),
    "an absolute path": (lambda: external("/etc/hostname"), "model.onnx: "),
    "a path that climbs": (lambda: external("../../state.db"), "model.onnx: "),
    "a file of the bundle": (lambda: external("secret.bin"), "model.onnx: "),
    "4 TiB of constants": (huge, ""),
    "a range of 10^12": (long_range, ""),
    "an endless loop": (endless, "sample samples/a.json: timed out after 0.5 s"),
    "3,000 nested functions": (nested, "killed by SIGSEGV"),
    "an unknown domain": (foreign, "com.example"),
    "opset 9999": (from_the_future, "9999"),
}


@dataclasses.dataclass(slots=True)
class Target:
    """A box that serves a function, of which there are other forms."""

    box: Any
    bundle: Bundle
    folder: Path
    gateways: list[int]

    def deploy(self, model: bytes) -> None:
        """Deploys the function with another model, as its own user would."""
        digest = sha256(model).hexdigest()
        path = self.folder / digest
        path.write_bytes(model)
        files = tuple(
            BundleFile(one.path, len(model), digest) if one.path == "model.onnx" else one
            for one in self.bundle.manifest.files
        )
        manifest = msgspec.structs.replace(self.bundle.manifest, files=files)
        key = own_key(config_dir(os.environ))
        bundle = dataclasses.replace(
            self.bundle,
            manifest=manifest,
            files={**self.bundle.files, digest: Content(path=path, size=len(model))},
            signature=sign(key, manifest.digest(), sequence=time.time_ns() // 1_000_000),
        )
        self.box.admin.deploy(bundle)

    def assert_unharmed(self, revision: int) -> None:
        """Whatever was deployed: the gateways live, and the given revision answers."""
        response = self.box.call("target", x=[[1.0, 2.0]])
        assert (response.status, response.json()) == (200, [2.0, 3.0])
        status = self.box.admin.status()
        assert [one.pid for one in status.gateways] == self.gateways
        assert [one.revision for one in status.functions] == [revision]


@pytest.fixture(scope="module")
def target(shared_box: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One for all attacks."""
    folder = tmp_path_factory.mktemp("target")
    (folder / "function.py").write_text(textwrap.dedent(CODE))
    (folder / "model.onnx").write_bytes(good())
    (folder / "secret.bin").write_bytes(np.ones(2, np.float32).tobytes())
    (folder / "samples").mkdir()
    (folder / "samples" / "a.json").write_text(SAMPLE)
    (bundle,) = build(str(folder))
    shared_box.admin.deploy(bundle)
    gateways = [one.pid for one in shared_box.admin.status().gateways]
    models = tmp_path_factory.mktemp("models")
    yield Target(box=shared_box, bundle=bundle, folder=models, gateways=gateways)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_model_that_does_harm_is_refused(target: Target, attack: str) -> None:
    """With the reason in the answer and in the history; no gateway ends, the old one serves."""
    make, reason = ATTACKS[attack]
    with pytest.raises(DeploymentFailed) as caught:
        target.deploy(make())
    assert reason in caught.value.message
    newest = target.box.admin.history("target")[0]
    assert (newest.state, newest.reason) == ("failed", caught.value.message)
    target.assert_unharmed(1)


def test_mutants_of_a_model_end_no_gateway(target: Target) -> None:
    """Some load, some are refused, some crash what loads them: whoever serves answers."""
    original = good()
    failed = 0
    for seed in range(MUTANTS):
        chance = random.Random(seed)
        mutant = bytearray(original)
        for _ in range(chance.randint(1, 4)):
            mutant[chance.randrange(len(mutant))] = chance.randrange(256)
        try:
            target.deploy(bytes(mutant))
        except DeploymentFailed:
            failed += 1
        else:
            target.deploy(original)
    assert failed
    gateways = [one.pid for one in target.box.admin.status().gateways]
    assert gateways == target.gateways
    assert target.box.call("target", x=[[1.0, 2.0]]).json() == [2.0, 3.0]
