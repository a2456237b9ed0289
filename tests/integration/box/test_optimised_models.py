"""Optimised forms on a real box: made once, used by later replicas, never trusted."""

import asyncio
import logging
import os
import signal
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefn.box.environments import Environments
from edgefn.box.optimised import LEAST_BYTES, OptimisedModels
from edgefn.box.revision import Revision
from edgefn.bundle.build import Bundle, build
from edgefn_runtime.optimised import RECORD_FILE, WEIGHTS_FILE, Record

CODE = """
    from edgefn import Model, Tensor, edge_function

    @edge_function(model="model.onnx")
    def large(x: Tensor["float32", 512], model: Model) -> float:
        return float(model(x[None]).sum())
"""
X = [0.5] * 512


def model() -> bytes:
    """Returns one that is just large enough."""
    weights = np.random.default_rng(1).normal(size=(512, 512)).astype(np.float32)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 512]) for name in "xy")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", [x], [y], [numpy_helper.from_array(weights, "w")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = made.SerializeToString()
    assert LEAST_BYTES <= len(data) < 1.1 * LEAST_BYTES
    return data


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A function with that model."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "model.onnx").write_bytes(model())
    (folder / "function.py").write_text(textwrap.dedent(CODE))
    (found,) = build(str(folder))
    return found


class Large:
    """The function on a box, seen from outside."""

    def __init__(self, box: Any, eventually: Callable[..., Any]) -> None:
        self.box = box
        self._eventually = eventually

    def answer(self) -> float:
        response = self.box.call("large", x=X)
        assert response.status == 200
        return float(response.json())

    def restarted(self) -> int:
        """Kills its replica, and returns the pid of the next one."""
        (old,) = self.box.replicas("large")
        os.kill(old.pid, signal.SIGKILL)
        return int(self._eventually(lambda: self._other_than(old.pid)))

    def form(self) -> Path:
        """Waits until replicas are given a form that this box made, and returns its folder."""
        self._eventually(lambda: "replicas load its optimised form" in self.box.errors)
        (record,) = self.box.state_dir.glob(f"optimised/*/{RECORD_FILE}")
        return Path(record.parent)

    def log(self) -> str:
        return "\n".join(line.text for line in self.box.admin.log_page("large").lines)

    def _other_than(self, pid: int) -> int | None:
        return next((one.pid for one in self.box.replicas("large") if one.pid != pid), None)


def uses(pid: int, form: Path) -> bool:
    """Whether a process has the weights of a form mapped."""
    return str(form / WEIGHTS_FILE) in Path(f"/proc/{pid}/maps").read_text()


def test_later_replicas_use_it_while_it_is_whole(
    start_box: Callable[..., Any], bundle: Bundle, eventually: Callable[..., Any]
) -> None:
    """It is made behind a function that serves; is left alone when damaged; goes with its model."""
    large = Large(start_box(), eventually)
    large.box.admin.deploy(bundle)
    expected = large.answer()
    form = large.form()
    assert uses(large.restarted(), form)
    assert large.answer() == expected

    flip(form / WEIGHTS_FILE)
    assert not uses(large.restarted(), form)
    assert large.answer() == expected
    assert "model.onnx is loaded as it was built" in large.log()

    large.box.admin.remove("large")
    eventually(lambda: not form.exists())


async def made(models: OptimisedModels, until: Callable[[], bool]) -> None:
    """Lets forms be made until something holds."""
    task = asyncio.create_task(models.keep_making())
    models.look()
    try:
        for _ in range(2000):
            if until():
                return
            await asyncio.sleep(0.01)
        pytest.fail("not within 20 s")
    finally:
        task.cancel()


def test_what_an_earlier_life_left_damaged_is_made_again(
    tmp_path: Path, bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    """Replicas are given the damaged one, and refuse it, until it was looked at."""
    caplog.set_level(logging.INFO)
    revision = at(tmp_path, bundle, model())
    first = models_of(tmp_path, revision)
    digest = revision.manifest.file("model.onnx").sha256
    asyncio.run(made(first, lambda: caplog.text.count("load its optimised form") == 1))
    form = first.of(None)[digest]
    flip(Path(form.folder, WEIGHTS_FILE))

    second = models_of(tmp_path, revision)
    assert second.of(None) == {digest: form}
    asyncio.run(made(second, lambda: caplog.text.count("load its optimised form") == 2))
    assert "is damaged; it is made again" in caplog.text
    assert Record.of(Path(form.folder)) == second.of(None)[digest].record


def test_a_model_of_which_there_is_no_form_is_tried_once(
    tmp_path: Path, bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why, and nothing is left of the try."""
    revision = at(tmp_path, bundle, model()[:-1])
    looks: list[Revision] = []
    models = OptimisedModels(
        tmp_path / "optimised",
        Environments(tmp_path / "environments"),
        lambda: looks.append(revision) or [revision],
    )
    asyncio.run(made(models, lambda: len(looks) == 2))
    asyncio.run(made(models, lambda: len(looks) == 3))
    assert caplog.text.count("is loaded as it was built: model.onnx: its bytes have") == 1
    assert not list(tmp_path.glob("optimised/*"))


def at(root: Path, bundle: Bundle, data: bytes) -> Revision:
    """Returns a revision with a model in a folder."""
    (root / "model.onnx").write_bytes(data)
    return Revision(number=1, digest="", manifest=bundle.manifest, root=root)


def models_of(state: Path, revision: Revision) -> OptimisedModels:
    """Returns the forms of a box on which one revision serves."""
    return OptimisedModels(
        state / "optimised", Environments(state / "environments"), lambda: [revision]
    )


def flip(path: Path) -> None:
    """Changes a bit, in a file of its own: what is mapped stays as it is."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    changed = path.with_name("changed")
    changed.write_bytes(data)
    changed.rename(path)
