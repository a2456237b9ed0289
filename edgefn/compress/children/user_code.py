"""Finds the callables that a declaration names, `evaluate.py:samples`, by importing their file."""

import ast
import importlib.util
import symtable
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from edgefn.compress.errors import InvalidData
from edgefn_runtime.tracebacks import describe, traceback_of


def spell(option: str, reference: str) -> str:
    """Returns an option as its giver wrote it: of the command line, or of the declaration."""
    if option.startswith("--"):
        name, _, attribute = reference.rpartition(":")
        return f"{option} {Path(name).name}:{attribute}"
    return f"{option}={reference!r}"


class References:
    """The callables of one function's files; each file is imported once.

    Args:
        module: The function's own, which is imported already.
        file: Of that module. References are relative to its folder.
    """

    def __init__(self, module: ModuleType, file: Path) -> None:
        self._folder = file.parent
        self._modules = {file: module}

    def find(self, reference: str, option: str) -> Callable[..., Any]:
        """Returns the callable that an option names.

        Raises:
            InvalidData: No such file or name, it does not import, or cannot be called.
        """
        name, _, attribute = reference.rpartition(":")
        path = (self._folder / name).resolve()
        found = getattr(self._module(path, reference, option), attribute, None)
        if not callable(found):
            what = "has no" if found is None else "has an uncallable"
            raise InvalidData(f"{spell(option, reference)}: {path.name} {what} {attribute!r}")
        checked: Callable[..., Any] = found
        return checked

    def _module(self, path: Path, reference: str, option: str) -> ModuleType:
        if path in self._modules:
            return self._modules[path]
        if path.suffix != ".py" or not path.is_file():
            raise InvalidData(
                f"{spell(option, reference)}: there is no Python file {path}; write file.py:name"
            )
        spec = importlib.util.spec_from_file_location(f"edgefn_data_{path.stem}", path)
        assert spec is not None and spec.loader is not None  # as of every .py file
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up by name
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise InvalidData(
                f"{spell(option, reference)}: {path.name} does not import: {describe(error)}",
                traceback=traceback_of(error, str(self._folder)),
            ) from error
        self._modules[path] = module
        return module


def check_named(reference: str, option: str, folder: Path) -> None:
    """Finds a mistaken reference early: without running the file, which may take long to import.

    Args:
        reference: `file.py:name`.
        option: That has it, for messages.
        folder: That the file is relative to.

    Raises:
        InvalidData: There is no such file, or nothing of that name at its top level.
    """
    name, _, attribute = reference.rpartition(":")
    path = folder / name
    try:
        text = path.read_text(encoding="utf-8")
        names = symtable.symtable(text, path.name, "exec").get_symbols()
    except OSError as error:
        raise InvalidData(
            f"{spell(option, reference)}: {path} cannot be read: {error.strerror}; write "
            "file.py:name"
        ) from error
    except (SyntaxError, ValueError) as error:
        raise InvalidData(
            f"{spell(option, reference)}: {path.name} does not import: {describe(error)}"
        ) from error
    bound = {each.get_name() for each in names if each.is_assigned() or each.is_imported()}
    if attribute not in bound and "__getattr__" not in bound and not _imports_all(text):
        raise InvalidData(f"{spell(option, reference)}: {path.name} has no {attribute!r}")


def _imports_all(text: str) -> bool:
    return any(
        isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        for node in ast.walk(ast.parse(text))
    )


def guilty_line(error: BaseException, folder: Path) -> str:
    """Returns `file.py:12` of the last frame below a folder, or an empty string."""
    found, frames = "", error.__traceback__
    while frames is not None:
        path = Path(frames.tb_frame.f_code.co_filename)
        if path.is_relative_to(folder) and "site-packages" not in path.parts:
            found = f"{path.relative_to(folder)}:{frames.tb_lineno}"
        frames = frames.tb_next
    return found
