"""Every command line of ours in what operators copy is one that our own program takes."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefn.cli.verbs import VERBS

ROOT = Path(__file__).parents[3]
FILES = [
    *sorted(one for one in (ROOT / "deploy").rglob("*") if one.is_file()),
    *(one for one in (ROOT / "docs/fleet.md", ROOT / "docs/operating.md") if one.is_file()),
]
JOINED_LINES = re.compile(r"\s*\\\n\s*")
COMMAND = re.compile(r"\bedgefn (?P<rest>[a-z]+\b[^`\n#|&;]*)")
WORD_LATER = re.compile(r"\{\{.*?\}\}|\$\{\w+\}")  # filled in by Prometheus or systemd
SOME_KEY = "0" * 64
WORDS_LATER = re.compile(r"\$\w+")  # any number of them, by systemd


def commands(text: str) -> list[str]:
    """Returns what follows `edgefn` wherever one of its verbs does."""
    found = [match["rest"] for match in COMMAND.finditer(JOINED_LINES.sub(" ", text))]
    return [one for one in found if one.split()[0] in VERBS]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_commands_parse(file: Path, refusal: Callable[[list[str]], str]) -> None:
    """Verbs, options and the number of arguments."""
    for line in commands(file.read_text()):
        filled = WORDS_LATER.sub("", WORD_LATER.sub("given", line.replace("PUBLIC", SOME_KEY)))
        arguments = shlex.split(filled.rstrip(" .,:)\"'"))
        assert not refusal(arguments), f"edgefn {line}"


def test_commands_are_found_and_a_wrong_one_is_seen(
    refusal: Callable[[list[str]], str],
) -> None:
    """Else the tests above would hold for any file."""
    text = "ExecStart=/opt/edgefn/bin/edgefn up --hub $OPTIONS\n`edgefn status` x\n edgefn is good"
    assert commands(text) == ["up --hub $OPTIONS", "status"]
    assert commands("podman run edgefn \\\n    up --hub") == ["up --hub"]
    assert sum(len(commands(file.read_text())) for file in FILES) > 20
    assert "--hup" in refusal(["up", "--hup"])
