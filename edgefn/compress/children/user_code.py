"""Finds the callables that a declaration names, `evaluate.py:samples`, by importing their file."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from edgefn.compress.errors import InvalidData
from edgefn_runtime.tracebacks import describe, traceback_of


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
            raise InvalidData(f"{option}={reference!r}: {path.name} {what} {attribute!r}")
        checked: Callable[..., Any] = found
        return checked

    def _module(self, path: Path, reference: str, option: str) -> ModuleType:
        if path in self._modules:
            return self._modules[path]
        if path.suffix != ".py" or not path.is_file():
            raise InvalidData(
                f"{option}={reference!r}: there is no Python file {path}; write file.py:name"
            )
        spec = importlib.util.spec_from_file_location(f"edgefn_data_{path.stem}", path)
        assert spec is not None and spec.loader is not None  # as of every .py file
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up by name
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise InvalidData(
                f"{option}={reference!r}: {path.name} does not import: {describe(error)}",
                traceback=traceback_of(error, str(self._folder)),
            ) from error
        self._modules[path] = module
        return module


def guilty_line(error: BaseException, folder: Path) -> str:
    """Returns `file.py:12` of the last frame below a folder, or an empty string."""
    found, frames = "", error.__traceback__
    while frames is not None:
        path = Path(frames.tb_frame.f_code.co_filename)
        if path.is_relative_to(folder):
            found = f"{path.relative_to(folder)}:{frames.tb_lineno}"
        frames = frames.tb_next
    return found
