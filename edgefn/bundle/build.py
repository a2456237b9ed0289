"""Builds bundles: collects a folder's files, and reads what the functions in it declare."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import msgspec

import edgefn
from edgefn.bundle.content import Content
from edgefn.bundle.description import Declared, Description
from edgefn.bundle.environment import LOCK_FILE, environment_of, vendored, write_lock_file
from edgefn.bundle.gather import BuildFailed, gather, hash_file
from edgefn.bundle.keys import SigningKey, config_dir, own_key
from edgefn.bundle.record import FOLDER, Record, read_record
from edgefn.bundle.samples import samples_of
from edgefn.bundle.signing import Signature, sign
from edgefn.bundle.variants import choose
from edgefn_runtime.manifest import (
    BundleFile,
    Environment,
    FunctionSpec,
    Manifest,
    decode_manifest,
)

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
        signature: Of the manifest.
        notes: What its developer should know, a sentence each.
    """

    manifest: Manifest
    files: dict[str, Content]
    signature: Signature
    notes: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    """What the functions of one file have in common: path in the bundle to file, and so on."""

    path: Path
    module: str
    files: dict[str, Path]
    hashed: dict[str, tuple[int, str]]
    record: Record | None
    samples: tuple[str, ...]
    locked: bool
    vendor: bool


def build(
    target: str, *, locked: bool = True, keep_lock: bool = False, vendor: bool = False
) -> list[Bundle]:
    """Builds the functions of a target, one bundle each, and signs them with the user's key.

    The code is imported once, in a process of its own, which must take at most a minute. Nothing is
    compressed: the variants are those that `edgefn build` left in the folder, if it did. The same
    target gives the same manifest, byte by byte.

    Args:
        target: A folder with a `function.py`, or a `.py` file; with `::name` for one function of
            several. A file of another name than `function.py` brings the modules beside it that
            it imports, and its models; a folder brings everything (see `edgefn.bundle.gather`).
        locked: Whether its requirements become an environment of its own; else a box must have
            what they name.
        keep_lock: Whether what they came to is written into the folder, as `edgefn build` does.
        vendor: Whether the wheels of that environment come along, for boxes without a network.

    Raises:
        BuildFailed: No such target, no function in it, it does not import (then `detail` has the
            `traceback`, and what the code printed as `log`), a built variant is damaged, or
            requirements cannot be met.
        InvalidManifest: A file has a name that a bundle cannot have.
        ConfigError: The user's key cannot be used.
    """
    chosen = parse_target(target)
    description = describe_file(chosen.file)
    declared = wanted_of(chosen, description.functions)
    path = chosen.file.parent
    if keep_lock:
        write_lock_file(path, [each.spec.requirements for each in description.functions])
    record = read_record(path)
    if chosen.whole_folder:
        files = gather(path, left_out=(LOCK_FILE, *((f"{FOLDER}/*",) if record else ())))
    else:
        files = _used_files(path, declared, description.imported)
    folder = _Folder(
        path=path,
        module=chosen.file.name,
        files=files,
        hashed={name: hash_file(file, path) for name, file in files.items()},
        record=record,
        # Of several functions in one file nothing says whose they are.
        samples=samples_of(files) if len(description.functions) == 1 else (),
        locked=locked,
        vendor=vendor,
    )
    key = own_key(config_dir(os.environ))
    return [_bundle(each, folder, key) for each in declared]


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


def _bundle(declared: Declared, folder: _Folder, key: SigningKey) -> Bundle:
    spec = declared.spec
    for parameter, path in spec.models.items():
        if path not in folder.files:
            raise BuildFailed(
                f"{spec.name}: its model {path!r} ({parameter}=) is not among the files "
                "of the function's folder; is the path right, and not in .edgefnignore?"
            )
    given = {parameter: folder.hashed[path][1] for parameter, path in spec.models.items()}
    built = folder.record.functions.get(spec.name) if folder.record else None
    chosen = choose(spec, given, built, folder.path)
    # A model that another form of it stands for would only make the bundle larger.
    left_out = set(spec.models.values()) if chosen.files else set()
    kept = {name: one for name, one in folder.hashed.items() if name not in left_out}
    environment, wheels = _environment(spec, folder)
    paths = {name: folder.path / name for name in (*kept, *chosen.files)} | wheels
    hashed = {**kept, **chosen.files}
    hashed.update({name: hash_file(path, path.parent) for name, path in wheels.items()})
    manifest = Manifest(
        runtime=_runtime_range(edgefn.__version__),
        module=folder.module,
        attribute=declared.attribute,
        spec=spec,
        schema=declared.schema,
        variants=chosen.variants,
        environment=environment,
        samples=folder.samples,
        files=tuple(BundleFile(name, *hashed[name]) for name in sorted(hashed)),
    )
    # What a box would refuse is refused here, and it is the decoded form that has one spelling.
    manifest = decode_manifest(manifest.encode())
    return Bundle(
        manifest=manifest,
        files={
            sha256: Content(path=paths[name], size=size) for name, (size, sha256) in hashed.items()
        },
        signature=sign(key, manifest.digest(), sequence=time.time_ns() // 1_000_000),
        notes=(f"{spec.name}: {chosen.note}",) if chosen.note else (),
    )


def _used_files(
    folder: Path, declared: list[Declared], imported: tuple[str, ...]
) -> dict[str, Path]:
    models = [model for each in declared for model in each.spec.models.values()]
    names = sorted({*imported, *models})
    return {name: folder / name for name in names if (folder / name).exists()}


def _environment(spec: FunctionSpec, folder: _Folder) -> tuple[Environment | None, dict[str, Path]]:
    """Returns what a function's requirements come to, and the wheels that come along."""
    environment = environment_of(spec.requirements, folder.path) if folder.locked else None
    if environment is None or not folder.vendor:
        return environment, {}
    return vendored(environment)


def _runtime_range(version: str) -> str:
    """Returns the versions of edgefn that can serve what this one builds."""
    major, minor = version.split(".")[:2]
    return f">={major}.{minor}"


def _lines(output: IO[bytes]) -> list[str]:
    end = output.seek(0, os.SEEK_END)
    output.seek(max(0, end - MAX_LOG_BYTES))
    return output.read().decode(errors="replace").splitlines()


def _ending(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"
