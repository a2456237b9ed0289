"""References to the developer's callables."""

from pathlib import Path

import pytest

from edgefn.compress.children.user_code import check_named, guilty_line, spell
from edgefn.compress.errors import InvalidData

SOURCE = """
from torch.nn import Linear as line
raise SystemExit("it is not run")

def small():
    inner = 1

if True:
    other = small
"""


@pytest.mark.parametrize("name", ["small", "other", "line"])
def test_a_name_of_a_file_is_found_without_running_it(tmp_path: Path, name: str) -> None:
    """Defined, assigned or imported at its top level."""
    (tmp_path / "student.py").write_text(SOURCE)
    check_named(f"student.py:{name}", "student", tmp_path)


@pytest.mark.parametrize("text", ["from torch import *", "def __getattr__(name): ..."])
def test_what_only_running_it_would_show_is_not_refused(tmp_path: Path, text: str) -> None:
    """Its names are not in its text."""
    (tmp_path / "student.py").write_text(text)
    check_named("student.py:small", "student", tmp_path)


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("student.py:inner", SOURCE, "student='student.py:inner': student.py has no 'inner'"),
        ("student.py:small", "def (", "student.py does not import: SyntaxError"),
        ("nowhere.py:small", "", "nowhere.py cannot be read: No such file"),
    ],
)
def test_a_mistaken_reference_is_told(
    tmp_path: Path, reference: str, text: str, expected: str
) -> None:
    """By the option that has it."""
    (tmp_path / "student.py").write_text(text)
    with pytest.raises(InvalidData, match=expected):
        check_named(reference, "student", tmp_path)


def test_an_option_is_spelt_as_it_was_given() -> None:
    """In a declaration or on the command line, where a path was made absolute since."""
    assert spell("evaluate", "data.py:rows") == "evaluate='data.py:rows'"
    assert spell("--data", "/far/away/data.py:rows") == "--data data.py:rows"


def test_the_guilty_line_is_none_of_an_installed_package(tmp_path: Path) -> None:
    """Even if packages are installed below the folder."""
    package = tmp_path / ".venv" / "site-packages" / "tool.py"
    own = compile("\nrun()", str(tmp_path / "own.py"), "exec")

    def run() -> None:
        exec(compile("1 / 0", str(package), "exec"))

    with pytest.raises(ZeroDivisionError) as caught:
        exec(own, {"run": run})
    assert guilty_line(caught.value, tmp_path) == "own.py:2"
