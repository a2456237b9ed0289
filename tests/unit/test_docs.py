"""The documents name what there is: files, headings, options, verbs."""

import inspect
import re
from pathlib import Path
from typing import get_overloads

import pytest

from edgefn import edge_function
from edgefn.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(ROOT.glob("deploy/**/*.md")),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("functions/*/README.md")),
]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
SCRIPT = re.compile(r"\b(?:tests|examples|functions|edgefn)/[\w/]+\.py\b")
COMMAND = re.compile(r"^(?:    |\$ )?edgefn ([a-z]+)\b", re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    """Returns the names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one).strip().lower().replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_and_names_only_what_there_is(page: Path) -> None:
    """Files and headings behind links, scripts in commands, and verbs of `edgefn`."""
    text = page.read_text()
    for target, anchor in LINK.findall(text):
        if target.startswith(("http:", "https:")):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file), f"{target}#{anchor}"
    for script in SCRIPT.findall(text):
        assert (ROOT / script).is_file(), script
    assert set(COMMAND.findall(text)) <= set(VERBS)


def test_every_option_of_the_decorator_is_documented() -> None:
    """In its docstring, and in the table of docs/functions.md."""
    _, with_options = get_overloads(edge_function)
    page = (ROOT / "docs/functions.md").read_text()
    for option in inspect.signature(with_options).parameters:
        assert f"`{option}`" in page, option
        assert f"{option}:" in (edge_function.__doc__ or ""), option
