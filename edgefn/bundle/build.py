"""Builds bundles: collects a folder's files, and reads what the functions in it declare."""

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import msgspec

from edgefn.bundle.description import Declared, Description
from edgefn.bundle.gather import BuildFailed, check_file, gather
from edgefn_runtime.manifest import BundleFile, Manifest, decode_manifest
from edgefn_runtime.variant import as_given

ENTRY_FILE: Final = "function.py"
DESCRIBE_TIMEOUT_S: Final = 60.0
MAX_LOG_BYTES: Final = 16 * 1024

_EXAMPLE: Final = """

    from edgefn import edge_function

    @edge_function
    def double(x: float) -> float: return 2 * x
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One function, ready to be sent to a box.

    Attributes:
        manifest: What it is.
        files: Where the content of each SHA-256 of the manifest lies on this machine.
    """

    manifest: Manifest
    files: dict[str, Path]


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


def build(target: str) -> list[Bundle]:
    """Builds the functions of a target, one bundle each.

    The code is imported once, in a process of its own, which must take at most a minute.

    Args:
        target: A folder with a `function.py`, or a `.py` file; with `::name` for one function of
            several. A file of another name than `function.py` brings the modules beside it that
            it imports, and its models; a folder brings everything (see `edgefn.bundle.gather`).

    Raises:
        BuildFailed: No such target, no function in it, or it does not import (then `detail` has
            the `traceback`, and what the code printed as `log`).
        InvalidManifest: A file has a name that a bundle cannot have.
    """
    chosen = parse_target(target)
    description = describe_file(chosen.file)
    declared = _wanted(chosen, description.functions)
    folder = chosen.file.parent
    if chosen.whole_folder:
        files = gather(folder)
    else:
        models = [path for each in declared for path in each.spec.models.values()]
        names = sorted({*description.imported, *models})
        files = {name: folder / name for name in names if (folder / name).exists()}
    hashed = {name: _hash(path, folder) for name, path in files.items()}
    return [_bundle(each, chosen.file.name, files, hashed) for each in declared]


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


def describe_file(file: Path) -> Description:
    """Imports a file in a process of its own and returns what it declares.

    Raises:
        BuildFailed: It does not import, ends the process, or takes too long.
    """
    with tempfile.TemporaryFile() as channel, tempfile.TemporaryFile() as output:
        command = [sys.executable, "-P", "-m", "edgefn.bundle.describe"]
        try:
            status = subprocess.run(
                [*command, str(file), str(channel.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(channel.fileno(),),
                timeout=DESCRIBE_TIMEOUT_S,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise BuildFailed(
                f"{file}: importing it takes more than {DESCRIBE_TIMEOUT_S:g} s; do slow work in "
                "the constructor of a class, which runs when a replica starts",
                log=_lines(output),
            ) from error
        channel.seek(0)
        encoded = channel.read()
        log = _lines(output)
    if not encoded:
        raise BuildFailed(f"{file}: importing it ended the process ({_ending(status)})", log=log)
    description = msgspec.json.decode(encoded, type=Description)
    if description.error:
        raise BuildFailed(
            f"{file} does not import: {description.error}", traceback=description.traceback, log=log
        )
    return description


def _wanted(target: Target, functions: tuple[Declared, ...]) -> list[Declared]:
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


def _bundle(
    declared: Declared, module: str, files: dict[str, Path], hashed: dict[str, tuple[int, str]]
) -> Bundle:
    for parameter, path in declared.spec.models.items():
        if path not in files:
            raise BuildFailed(
                f"{declared.spec.name}: its model {path!r} ({parameter}=) is not among the files "
                "of the function's folder; is the path right, and not in .edgefnignore?"
            )
    manifest = Manifest(
        module=module,
        attribute=declared.attribute,
        spec=declared.spec,
        schema=declared.schema,
        variants=(as_given(declared.spec.models),),
        files=tuple(BundleFile(name, *hashed[name]) for name in sorted(files)),
    )
    decode_manifest(manifest.encode())  # what a box would refuse is refused here
    return Bundle(manifest=manifest, files={hashed[name][1]: files[name] for name in files})


def _hash(path: Path, folder: Path) -> tuple[int, str]:
    size = check_file(path, folder)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return size, digest


def _lines(output: IO[bytes]) -> list[str]:
    end = output.seek(0, os.SEEK_END)
    output.seek(max(0, end - MAX_LOG_BYTES))
    return output.read().decode(errors="replace").splitlines()


def _ending(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"
