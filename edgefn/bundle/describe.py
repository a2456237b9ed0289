"""Reads what a function file declares, by importing it: run in a process of its own.

    python -P -m edgefn.bundle.describe <file> <file descriptor>

User code may print, hang or exit; so what is found goes to the descriptor, as JSON of a
`Description`, and not to the standard output.
"""

import contextlib
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Final

import msgspec

import edgefn
import edgefn_runtime
from edgefn._function import EdgeFunction
from edgefn.bundle.description import Declared, Description
from edgefn.bundle.user_code import enter
from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.loader import import_file
from edgefn_runtime.tracebacks import traceback_of

_OWN_FOLDERS: Final = tuple(
    f"{Path(str(package.__file__)).parent}{os.sep}" for package in (edgefn, edgefn_runtime)
)


def describe(file: Path) -> Description:
    """Imports a file, as a replica would, and returns what it declares.

    The folder of the file becomes the first entry of `sys.path` and the working directory.
    """
    folder = file.parent
    enter(folder)
    try:
        module = import_file(file)
    except LoadFailed as error:
        return Description(error=error.message)
    except (Exception, SystemExit) as error:
        short = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
        told = traceback_of(error, str(folder), without=_OWN_FOLDERS)
        return Description(error=short, traceback=told)
    return Description(_declared(module), _imported_from(folder))


def _declared(module: ModuleType) -> tuple[Declared, ...]:
    found = {}
    for attribute, value in vars(module).items():
        if isinstance(value, EdgeFunction) and id(value) not in found:
            found[id(value)] = Declared(
                attribute, value.spec, value.signature.described, value.options
            )
    return tuple(found.values())


def _imported_from(folder: Path) -> tuple[str, ...]:
    found = set()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file is not None and Path(file).is_relative_to(folder):
            relative = Path(file).relative_to(folder)
            # An environment may lie in the folder, too; what is in it is not the user's.
            if "site-packages" not in relative.parts:
                found.add(relative.as_posix())
    return tuple(sorted(found))


def main() -> None:
    """Describes the file of the first argument to the descriptor of the second."""
    file, descriptor = Path(sys.argv[1]), int(sys.argv[2])
    encoded = msgspec.json.encode(describe(file))
    with os.fdopen(descriptor, "wb") as channel:
        channel.write(encoded)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # whatever the user's module has put there
            stream.flush()
    os._exit(0)  # a thread that the user's module started may never end


if __name__ == "__main__":
    main()
