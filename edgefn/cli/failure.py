"""How an error looks to who ran the command."""

import re
from typing import Any, Final

from rich.text import Text

from edgefn.cli.output import err, plain
from edgefn.errors import EdgefnError

# Where a box keeps the files of a revision; what is behind it is the path in the user's folder.
_ON_THE_BOX: Final = re.compile(r'(?<=File ")[^"\n]*/revisions/[0-9a-f]{64}/')


def print_failure(error: Exception, *, subject: str = "") -> None:
    """Prints what went wrong: the sentence, and of the user's own code its output and traceback.

    Args:
        error: What was raised.
        subject: What it concerns, for a sentence that does not begin with it.
    """
    if not isinstance(error, EdgefnError):
        sentence = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        _print_headline(sentence)
        err.print("this is a fault in edgefn; run `edgefn --debug ...` to see where", style="dim")
        return
    named = error.message.startswith(subject)
    _print_headline(error.message if named else f"{subject}: {error.message}")
    traceback = _lines(error.detail.get("traceback"))
    whose = error.detail.get("log_of", "the function")
    _print_block(f"{whose} printed:", _printed(_lines(error.detail.get("log")), traceback))
    _print_block("where it failed:", traceback)


def _print_headline(sentence: str) -> None:
    err.print(Text.assemble(("error:", "bold red"), " ", plain(sentence)))


def _print_block(title: str, lines: list[str]) -> None:
    if not lines:
        return
    err.print(title, style="dim")
    for line in lines:
        err.print(plain(f"  {line}"))


def _printed(log: list[str], traceback: list[str]) -> list[str]:
    """Returns what the function printed itself: not its traceback again, nor what its box says."""
    return [line for line in log if line not in traceback and not line.startswith("edgefn: ")]


def _lines(value: Any) -> list[str]:
    text = "\n".join(value) if isinstance(value, list) else value or ""
    return _ON_THE_BOX.sub("", text).rstrip().splitlines()
