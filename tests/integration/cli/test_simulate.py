"""`edgefn simulate` and `edgefn plan`, from a file to tables, JSON and pictures."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edgefn.cli.program import app
from edgefn.errors import ConfigError

_SCENARIO = """
duration_s = 12
warm_up_s = 2
workload = { calls_per_s = 40 }
sites = [{ name = "hall", boxes = [{ count = 3 }] }]

[[functions]]
name = "camera"
deadline_s = 0.2
variants = [{ name = "int8", each_s = 0.02, accuracy = 0.9, cost = 0.1 }]
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    file = tmp_path / "hall.toml"
    file.write_text(_SCENARIO)
    return file


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_a_scenario_is_played_and_shown(scenario: Path, tmp_path: Path) -> None:
    """A table for people, and the same as a file and a picture."""
    folder = tmp_path / "results"
    result = _run("simulate", scenario, "--seeds", 1, "--output", folder)
    assert result.exit_code == 0, result.output
    for expected in ("edgefn", "camera", "hall", "int8@edge", "in time, %"):
        assert expected in result.stdout
    assert json.loads((folder / "results.json").read_bytes())["runs"][0]["scenario"] == "hall"
    assert (folder / "course.png").read_bytes().startswith(b"\x89PNG")
    assert not (folder / "policies.png").exists()


def test_seeds_in_processes_of_their_own_give_what_they_give_here(scenario: Path) -> None:
    """Equal seeds make equal decisions, wherever they run."""
    here = json.loads(_run("simulate", scenario, "--seeds", 1, "--seed", 8, "--json").stdout)
    there = json.loads(_run("simulate", scenario, "--seeds", 2, "--seed", 7, "--json").stdout)
    assert [run["seed"] for run in there["runs"]] == [7, 8]
    assert here["runs"][0]["decisions"] == there["runs"][1]["decisions"]
    assert here["runs"][0]["decisions"] != there["runs"][0]["decisions"]


def test_policies_are_compared(scenario: Path) -> None:
    """Those that are named, the first one with the others."""
    named = ("--policy", "edgefn", "--policy", "round_robin")
    result = _run("simulate", scenario, *named, "--seeds", 1)
    assert result.exit_code == 0, result.output
    assert "edgefn less each other" in result.stdout
    assert "round_robin" in result.stdout


def test_a_plan_names_the_number_of_boxes(scenario: Path, tmp_path: Path) -> None:
    """120 calls a second of 20 ms are work for more than two boxes."""
    result = _run("plan", scenario, "--load", 3, "--slo", 95, "--seeds", 1, "--output", tmp_path)
    assert result.exit_code == 0, result.output
    boxes = json.loads((tmp_path / "plan.json").read_bytes())["boxes"]
    assert boxes >= 3
    assert f"{boxes} boxes reach 95 % in time: {boxes} at 1 edge site" in result.stdout
    assert f"with {boxes - 1} a site" in result.stdout
    assert (tmp_path / "plan.png").exists()


def test_a_plan_that_cannot_be_met_fails(scenario: Path) -> None:
    """With what was tried, and exit code 1."""
    result = _run("plan", scenario, "--load", 20, "--seeds", 1, "--most", 4, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["boxes"] is None


def test_what_is_wrong_is_told(scenario: Path) -> None:
    """An unknown policy, a tier that is nowhere, and a file that is none."""
    result = _run("simulate", scenario, "--policy", "best")
    assert result.exit_code == 2
    assert "'best' is none of edgefn, " in result.stderr
    assert isinstance(_run("plan", scenario, "--vary", "fog").exception, ConfigError)
    lost = scenario.with_name("lost.toml")
    lost.write_text(_SCENARIO.replace("deadline_s", 'trace = "gone.csv"\ndeadline_s'))
    failed = _run("simulate", lost, "--seeds", 2).exception  # in a process of its own
    assert isinstance(failed, ConfigError)
    assert "cannot read the trace" in failed.message
    assert isinstance(_run("simulate", scenario.parent).exception, ConfigError)


def test_without_matplotlib_there_are_no_pictures(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence says what to install, and the rest is written."""
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    result = _run("simulate", scenario, "--seeds", 1, "--output", tmp_path)
    assert result.exit_code == 0
    assert "pip install 'edgefn[compress]'" in result.stderr.replace("\n", " ")
    assert (tmp_path / "results.json").exists()
    assert not (tmp_path / "course.png").exists()
