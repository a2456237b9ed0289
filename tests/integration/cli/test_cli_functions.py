"""The life of a function, from the command line, on a real box."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[..., "subprocess.CompletedProcess[str]"]

USUAL = "hello/samples/usual.json"


def test_a_function_from_init_to_rm(edgefn: Command, shared_box: Any, tmp_path: Path) -> None:
    """The template runs as it is, and every verb says something true about it."""
    box = {"EDGEFN_URL": shared_box.url}
    shown = edgefn("init", "hello")
    assert "hello/function.py" in shown.stdout and "edgefn dev hello" in shown.stderr
    assert "my_function" not in (tmp_path / "hello/README.md").read_text()
    edgefn("init", "hello", code=2)

    assert "hello" in edgefn("deploy", "hello", env=box).stdout
    called = edgefn("call", "hello", f"@{USUAL}", env=box)
    assert json.loads(called.stdout)["unusual"] is False
    assert "variant python | tier edge" in called.stderr and "deadline met" in called.stderr

    text = (tmp_path / USUAL.replace("usual", "unusual")).read_text()
    answer = json.loads(edgefn("call", "hello", "-", "--json", env=box, input=text).stdout)
    assert answer["value"]["unusual"] is True and answer["sla"] == "met"

    summary = edgefn("call", "hello", f"@{USUAL}", "-n", "20", "-c", "4", "--json", env=box)
    assert json.loads(summary.stdout)["answered"] == 20

    listed = json.loads(edgefn("ls", "--json", "--url", shared_box.url).stdout)
    assert [each["name"] for each in listed["functions"]] == ["hello"]
    described = edgefn("describe", "hello", env=box).stdout
    assert "list of number" in described and "curl http://" in described
    status = edgefn("status", env=box).stdout
    assert shared_box.url in status and "ready" in status

    edgefn("rm", "hello", "--yes", env=box)
    assert "nothing is deployed" in edgefn("ls", env=box).stderr


def test_revisions_go_forth_and_back(edgefn: Command, shared_box: Any, tmp_path: Path) -> None:
    """A new revision, one that fails, and the way back to the first."""
    box = {"EDGEFN_URL": shared_box.url}
    source = tmp_path / "versioned.py"
    text = (
        "from edgefn import edge_function\nprint('loading')\n"
        "@edge_function\ndef versioned() -> int:\n    return {}\n"
    )
    source.write_text(text.format(1))
    edgefn("deploy", "versioned.py", env=box)
    source.write_text(text.format(2))
    deployed = json.loads(edgefn("deploy", "versioned.py", "--json", env=box).stdout)
    assert deployed["deployed"][0]["function"]["revision"] == 2

    source.write_text("import os\nif '/state/revisions/' in os.getcwd(): 1 / 0\n" + text.format(3))
    failed = edgefn("deploy", "versioned.py", env=box, code=1)
    assert "ZeroDivisionError" in failed.stderr and 'File "versioned.py", line 2' in failed.stderr
    assert "revision 2 of versioned keeps serving" in failed.stderr
    assert edgefn("call", "versioned", env=box).stdout == "2\n"

    edgefn("rollback", "versioned", "1", env=box)
    assert edgefn("call", "versioned", env=box).stdout == "1\n"
    history = json.loads(edgefn("history", "versioned", "--json", env=box).stdout)["revisions"]
    states = {each["revision"]: each["state"] for each in history}
    assert states[max(states)] == "serving" and "failed" in states.values()
    assert "loading" in edgefn("logs", "versioned", env=box).stdout


def test_what_fails_ends_with_1_and_a_sentence(
    edgefn: Command, shared_box: Any, tmp_path: Path
) -> None:
    """Without a traceback of edgefn's own."""
    box = {"EDGEFN_URL": shared_box.url}
    assert "error: no function 'never'" in edgefn("call", "never", env=box, code=1).stderr
    assert "no such file" in edgefn("deploy", "nowhere", env=box, code=1).stderr
    (tmp_path / "broken.py").write_text("def f(:\n")
    broken = edgefn("deploy", "broken.py", env=box, code=1).stderr
    assert "does not import: SyntaxError" in broken and "broken.py" in broken
    many = edgefn("call", "never", "-n", "3", env=box, code=1)
    assert "3 x unknown_function" in many.stdout


def test_a_reader_that_goes_away_is_no_error(shared_box: Any, environment: dict[str, str]) -> None:
    """`edgefn ls | head` ends quietly."""
    command = [sys.executable, "-P", "-m", "edgefn", "status", "--json"]
    reading = subprocess.Popen(
        [*command, "--url", shared_box.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert reading.stdout is not None and reading.stderr is not None
    reading.stdout.close()
    assert reading.stderr.read() == b""
    reading.stderr.close()
    reading.wait(30)
