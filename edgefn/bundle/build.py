"""Builds bundles: collects a folder's files, and reads what the functions in it declare."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import edgefn
from edgefn.bundle.content import Content
from edgefn.bundle.description import Declared
from edgefn.bundle.environment import LOCK_FILE, environment_of, vendored, write_lock_file
from edgefn.bundle.gather import BuildFailed, gather, hash_file
from edgefn.bundle.keys import SigningKey, config_dir, own_key
from edgefn.bundle.reading import Reading
from edgefn.bundle.record import FOLDER, Record, read_record
from edgefn.bundle.samples import samples_of
from edgefn.bundle.signing import Signature, sign
from edgefn.bundle.target import parse_target, wanted_of
from edgefn.bundle.variants import choose
from edgefn_runtime.manifest import (
    BundleFile,
    Environment,
    FunctionSpec,
    Manifest,
    decode_manifest,
)


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
    target: str,
    *,
    reading: Reading | None = None,
    locked: bool = True,
    keep_lock: bool = False,
    vendor: bool = False,
) -> list[Bundle]:
    """Builds the functions of a target, one bundle each, and signs them with the user's key.

    The code is imported once, in a process of its own, which must take at most a minute. Nothing is
    compressed: the variants are those that `edgefn build` left in the folder, if it did. The same
    target gives the same manifest, byte by byte.

    Args:
        target: A folder with a `function.py`, or a `.py` file; with `::name` for one function of
            several. A file of another name than `function.py` brings the modules beside it that
            it imports, and its models; a folder brings everything (see `edgefn.bundle.gather`).
        reading: Of the target's file, if it was begun already.
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
    with reading or Reading(chosen.file) as begun:
        description = begun.result()
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
