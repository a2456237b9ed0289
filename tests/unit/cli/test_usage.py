"""Usage: what the command line refuses before it does anything, and its help."""

import importlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import edgefn.cli
from edgefn.cli.program import app
from edgefn.cli.verbs import EXAMPLES, VERBS


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["deplyo"], "Did you mean 'deploy'?"),
        (["deploy"], "Missing argument 'TARGET...'"),
        (["call"], "Missing argument 'NAME'"),
        (["call", "f", "{bad"], "INPUT is not a JSON object"),
        (["call", "f", "[1]"], "INPUT is not a JSON object"),
        (["call", "f", "@/nowhere.json"], "cannot read /nowhere.json"),
        (["call", "f", "-n", "0"], "for '-n'"),
        (["logs", "f", "-n", "many"], "for '--last' / '-n'"),
        (["rollback", "f", "first"], "for 'REVISION'"),
        (["rm", "f"], "say --yes"),
        (["up", "--prot", "1"], "--prot"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(
    arguments: list[str], expected: str
) -> None:
    """On standard error, without a traceback."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert expected in result.stderr
    assert "Traceback" not in result.stderr


def test_every_verb_has_a_file_and_one_line_of_help() -> None:
    """The table of verbs and the files of the folder agree."""
    folder = Path(edgefn.cli.__file__).parent
    for verb, line in VERBS.items():
        assert (folder / f"{verb}.py").is_file()
        assert callable(importlib.import_module(f"edgefn.cli.{verb}").command)
        assert len(line) < 70
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100"}).stdout
    for verb, line in VERBS.items():
        assert f"{verb} " in shown and line in shown


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_its_options(verb: str) -> None:
    """`--help` and `-h` work everywhere, and no option is without a word."""
    result = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "100"})
    assert result.exit_code == 0
    assert VERBS[verb] in result.stdout
    assert CliRunner().invoke(app, [verb, "-h"]).exit_code == 0


@pytest.mark.parametrize("example", [line for lines in EXAMPLES.values() for line in lines])
def test_an_example_of_the_help_names_options_that_there_are(example: str) -> None:
    """It is shown as one line by its verb, and each of its options by the command it calls."""
    _, verb, *rest = example.split()
    assert example in CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "100"}).stdout
    command = [word for word in rest[:1] if not word.startswith("--")]
    shown = CliRunner().invoke(app, [verb, *command, "--help"], env={"COLUMNS": "100"}).stdout
    assert all(word in shown for word in rest if word.startswith("--"))
