"""What `build`, `export` and `device` refuse before they do anything, and what they print."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgefn.cli.program import _report, app
from edgefn.cli.steps_shown import Lines
from edgefn.compress.device.profile import load_device


def ending(arguments: list[str]) -> tuple[int, str]:
    """Returns the exit code and what is said on standard error, as `run` would."""
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
        return _report(result.exception, debug=False), str(result.exception)
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["build"], "Missing argument 'TARGET...'"),
        (["build", "f", "--rows", "1"], "--rows"),
        (["build", "f", "--data", "evaluate.py"], "not like evaluate.py:samples"),
        (["build", "f", "--device", "/nowhere.toml"], "/nowhere.toml: cannot be read"),
        (["build", "f", "--output", "f/function.py"], "ends in .edgefn"),
        (["build", "f", "g", "--output", "one.edgefn"], "build one target at a time"),
        (["export", "model.py", "m.onnx"], "not like model.py:trained"),
        (["export", "/nowhere.py:model", "m.onnx"], "there is no file /nowhere.py"),
        (["device", "--name", "a b"], "--name"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], expected: str) -> None:
    """And says what is wrong, without a traceback."""
    code, said = ending(arguments)
    assert code == 2
    assert expected in said


def test_a_target_that_is_not_there_fails(tmp_path: Path) -> None:
    """With 1, as every failure does."""
    code, said = ending(["build", str(tmp_path / "nowhere")])
    assert code == 1
    assert "no such file" in said


def test_a_bundle_that_cannot_be_written_is_no_fault_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "in_the_way").touch()
    (tmp_path / "function.py").write_text(
        "from edgefn import edge_function\n@edge_function\ndef f(x: int) -> int:\n    return x\n"
    )
    code, said = ending(
        ["build", str(tmp_path), "--output", str(tmp_path / "in_the_way" / "f.edgefn")]
    )
    assert code == 1
    assert "f.edgefn cannot be written: " in said


def test_the_profile_of_this_machine_can_be_read_back(tmp_path: Path) -> None:
    """As TOML for `--device`, or as JSON."""
    runner = CliRunner()
    printed = runner.invoke(app, ["device", "--name", "line-3"]).stdout
    (tmp_path / "line-3.toml").write_text(printed)
    device = load_device(tmp_path / "line-3.toml")
    assert device.name == "line-3" and device.score > 0
    found = json.loads(runner.invoke(app, ["device", "--name", "line-3", "--json"]).stdout)
    assert found["cores"] == device.cores


def test_without_a_terminal_steps_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Only those that took a while; each with what it belongs to."""
    lines = Lines("voice")
    with lines.step("look") as on_share:
        on_share(0.5)
    lines.note("no picture [bold]today[/bold]")
    assert capsys.readouterr().err == "voice: no picture [bold]today[/bold]\n"
