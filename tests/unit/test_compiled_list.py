"""What `pyproject.toml` says to compile: what it must have in it, and what mypyc would refuse."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
    "wheel"
]["hooks"]["custom"]
REFUSED = re.compile(r"^class .*\((msgspec\.)?Struct\b|^@runtime_checkable", re.MULTILINE)


def _found(patterns: list[str]) -> set[Path]:
    found = [set(ROOT.glob(pattern)) for pattern in patterns]
    assert all(found), "a pattern names nothing"
    return set().union(*found)


def test_all_that_can_be_compiled_is():
    """A module is left out for what mypyc does not compile, or because nothing is in it."""
    named = _found([pattern for patterns in HOOK["libraries"].values() for pattern in patterns])
    left_out = _found(HOOK["interpreted"])
    assert left_out <= named
    for path in named:
        refused = bool(REFUSED.search(path.read_text()))
        assert refused == (path in left_out) or path.name == "__init__.py", path
