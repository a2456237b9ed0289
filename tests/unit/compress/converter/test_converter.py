"""The converter's environment and child processes; the tools themselves where installed."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefn.compress.converter import client, environment, program
from edgefn.compress.recipe import ExtraMissing, RecipeFailed

needs_converter = pytest.mark.skipif(
    environment.installed() is None, reason="python -m edgefn.compress.converter installs it"
)
X = np.random.default_rng(0).uniform(-1, 1, (16, 1, 8)).astype(np.float32)
W = np.linspace(-1, 1, 32, dtype=np.float32).reshape(8, 4)


def gemm_relu(*, op="Relu", shape=(1, 8)):
    """Returns the bytes of an ONNX model that multiplies by W."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [helper.make_node("Gemm", ["x", "w"], ["z"]), helper.make_node(op, ["z"], ["y"])]
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(W, "w")])
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """Points the user's cache to an empty folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def python(code, **how):
    """Runs a line of Python as a child."""
    program.run([sys.executable, "-c", code], **{"folder": Path.cwd(), "timeout_s": 30, **how})


def test_lines_are_handed_on():
    """What the program prints, on either stream, comes line by line."""
    seen = []
    code = "import sys; print('one', flush=True); print('two', file=sys.stderr)"
    python(code, on_line=seen.append)
    assert sorted(seen) == ["one\n", "two\n"]


def test_a_failure_shows_the_last_lines():
    """The exit code and what was printed last are in the message."""
    with pytest.raises(program.Failed, match=r"exit code 3\n(?s:.*)line 18\nline 19$") as raised:
        python("for i in range(20):\n    print('line', i)\nraise SystemExit(3)")
    assert "line 5\n" not in str(raised.value)


def test_too_late_is_killed():
    """After its time the program is killed, and what it started as well."""
    pids = []
    code = "import os, time\nprint(os.getpid(), os.fork(), flush=True)\ntime.sleep(600)"
    with pytest.raises(program.Failed, match="longer than 2 s"):
        python(code, timeout_s=2, on_line=lambda line: pids.extend(map(int, line.split())))
    for pid in set(pids) - {0}:
        while _runs(pid):
            time.sleep(0.01)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_interruption_kills(tmp_path):
    """Whatever interrupts the wait, the program does not outlive it."""
    pids = []

    def interrupt(line):
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        python(
            "import os, time; print(os.getpid(), flush=True); time.sleep(600)", on_line=interrupt
        )
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_secrets_stay_here(monkeypatch):
    """The tools see neither tokens nor proxies; the installation sees its index."""
    monkeypatch.setenv("API_TOKEN", "s3cret")
    monkeypatch.setenv("PIP_NO_INPUT", "1")
    seen = []
    code = "import os; print(sorted({'API_TOKEN', 'PIP_NO_INPUT'} & os.environ.keys()))"
    python(code, on_line=seen.append)
    python(code, on_line=seen.append, network=True)
    assert seen == ["[]\n", "['PIP_NO_INPUT']\n"]


def test_looking_leaves_no_trace(empty_cache):
    """Whether it is installed is found out without making anything."""
    assert environment.installed() is None
    assert not empty_cache.exists()


def test_what_is_missing_is_said(empty_cache):
    """Without the tools there is one line that says how to get them."""
    with pytest.raises(ExtraMissing, match="edgefn build --get-tools"):
        client.quantise(b"", "int8-static", inputs={"x": X})


def test_a_failed_installation_leaves_nothing(empty_cache, tmp_path, monkeypatch):
    """It says why, and nothing half-made is found afterwards."""
    lock = tmp_path / "lock.txt"
    lock.write_text(f"no-such-package==1 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(environment, "_LOCK", lock)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(environment.ConverterNotInstalled, match="no-such-package"):
        environment.ensure()
    assert environment.installed() is None
    assert [path.suffix for path in (empty_cache / "edgefn").iterdir()] == [".lock"]


def test_two_at_once_install_once(empty_cache, monkeypatch):
    """A second installer waits for the first, and uses what it made."""
    made = []

    def make(folder, on_progress):
        made.append(folder)
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)

    monkeypatch.setattr(environment, "_make", make)
    found = []
    threads = [threading.Thread(target=lambda: found.append(environment.ensure())) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found == [environment.installed()] * 2


def test_a_folder_that_cannot_be_written(monkeypatch):
    """No place for the environment is a message that names it."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    with pytest.raises(environment.ConverterNotInstalled, match="XDG_CACHE_HOME chooses another"):
        environment.ensure()


def test_the_lock_has_a_hash_for_everything():
    """Nothing is installed whose bytes are not known."""
    entries = environment._LOCK.read_text().replace("\\\n", " ").splitlines()
    entries = [entry for entry in entries if entry and not entry.startswith("#")]
    assert len(entries) == 15
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)


@needs_converter
def test_converts_and_quantises():
    """Names stay, answers stay near, and floats go in and come out."""
    made = client.convert(gemm_relu(), inputs={"x": X}, outputs=["y"])
    assert (made.inputs, list(made.outputs)) == (("x",), ["y"])
    expected = np.maximum(X @ W, 0)
    np.testing.assert_allclose(made.outputs["y"], expected, atol=1e-5)
    small = client.quantise(made.data, "int8-static", inputs={"x": X})
    assert small.outputs["y"].dtype == np.float32
    np.testing.assert_allclose(small.outputs["y"], expected, atol=0.05)


@needs_converter
def test_what_the_tools_cannot_do_is_said():
    """A model that they refuse is a failed recipe with their reason, not a crash."""
    with pytest.raises(RecipeFailed, match="converter failed|Error|lost"):
        client.convert(b"no model", inputs={"x": X}, outputs=["y"])
    with pytest.raises(RecipeFailed):
        client.quantise(b"no model", "fp16", inputs={"x": X})


@needs_converter
def test_the_tools_end_with_whoever_started_them():
    """They wait for nobody: a build that is killed leaves none of them behind."""
    tool = subprocess.Popen(
        [environment.installed(), "-I", environment.TOOL, "--self-test"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    tool.stdin.close()
    assert tool.wait(timeout=60) == 1


@needs_converter
def test_the_tools_have_a_time_limit():
    """They are killed when it is over."""
    with pytest.raises(RecipeFailed, match=r"longer than 0.01 s"):
        client.convert(gemm_relu(), inputs={"x": X}, outputs=["y"], timeout_s=0.01)
