"""What a user names to have it built: a folder, a file, or one function of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgefn.bundle.description import Declared
from edgefn.bundle.gather import BuildFailed

ENTRY_FILE: Final = "function.py"
BUNDLE_SUFFIX: Final = ".edgefn"

_EXAMPLE: Final = """

    from edgefn import edge_function

    @edge_function
    def double(x: float) -> float: return 2 * x
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a user asked to build.

    Attributes:
        file: The declaring file.
        function: The one function wanted; None: all of the file.
        whole_folder: Whether all files beside it belong to it.
    """

    file: Path
    function: str | None
    whole_folder: bool


def parse_target(target: str) -> Target:
    """Finds the file that a target means.

    Raises:
        BuildFailed: There is none.
    """
    text, separator, function = target.partition("::")
    path = Path(text).expanduser().absolute()
    if separator and not function:
        raise BuildFailed(f"{target}: no function is named after the ::")
    if path.is_dir():
        path = path / ENTRY_FILE
    if not path.is_file():
        hint = f"; start a function with: edgefn init {Path(text).name or 'hello'}"
        raise BuildFailed(f"{path}: no such file{hint if path.name == ENTRY_FILE else ''}")
    if path.suffix != ".py":
        raise BuildFailed(f"{path} is not a Python file; name a folder or a .py file")
    path = path.parent.resolve() / path.name
    return Target(file=path, function=function or None, whole_folder=path.name == ENTRY_FILE)


def wanted_of(target: Target, functions: tuple[Declared, ...]) -> list[Declared]:
    """Returns those functions of a file that a target means.

    Raises:
        BuildFailed: There is none, two have one name, or none has the name of the target.
    """
    if not functions:
        raise BuildFailed(f"{target.file} declares no edge function; write, for example:{_EXAMPLE}")
    names = [each.spec.name for each in functions]
    for name in names:
        if names.count(name) > 1:
            both = " and ".join(each.attribute for each in functions if each.spec.name == name)
            raise BuildFailed(
                f"{target.file}: {both} are both named {name!r}; give one of them another name="
            )
    if target.function is None:
        return list(functions)
    wanted = [each for each in functions if target.function in (each.spec.name, each.attribute)]
    if not wanted:
        raise BuildFailed(
            f"{target.file} declares no {target.function!r}; it has {', '.join(names)}"
        )
    return wanted[:1]


def is_bundle(target: str) -> bool:
    """Whether a target is a bundle in a file, built already."""
    return target.endswith(BUNDLE_SUFFIX)
