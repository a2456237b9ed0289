"""Which variants a bundle gets: those that `edgefn build` made, if they fit the model given now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgefn.bundle.gather import BuildFailed, hash_file
from edgefn.bundle.record import FunctionRecord
from edgefn_runtime.manifest import FunctionSpec, InvalidManifest, check_path
from edgefn_runtime.variant import Variant, as_given


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The variants of a bundle, and what they need.

    Attributes:
        variants: The preferred one first.
        files: Of their models: path in the bundle to size and SHA-256.
        note: What the developer should know; empty if all is well.
    """

    variants: tuple[Variant, ...]
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    note: str = ""


def choose(
    spec: FunctionSpec, given: Mapping[str, str], record: FunctionRecord | None, folder: Path
) -> Chosen:
    """Returns the variants of a function as they were built.

    If none were, the models serve as they were given. If the models are others than those that the
    variants were made from, they do so too, and there is a note.

    Args:
        spec: What the function declares.
        given: SHA-256 of each model as it is now, by parameter.
        record: What was built of this function.
        folder: Of the function.

    Raises:
        BuildFailed: A file of a variant is missing, or not the one that was built.
    """
    if record is None or not record.variants:
        return Chosen(variants=(as_given(spec.models),))
    if record.given != given:
        models = spec.models.items()
        changed = [path for name, path in models if record.given.get(name) != given[name]]
        other = ", ".join(changed) or "model"
        note = f"its variants were made from another {other}; run `edgefn build {folder}`"
        return Chosen(variants=(as_given(spec.models),), note=note)
    paths = sorted({path for variant in record.variants for path in variant.models.values()})
    files = {path: _checked(path, record, folder) for path in paths}
    return Chosen(variants=record.variants, files=files)


def _checked(path: str, record: FunctionRecord, folder: Path) -> tuple[int, str]:
    try:
        check_path(path)
        size, sha256 = hash_file(folder / path, folder)
    except (BuildFailed, InvalidManifest) as error:
        raise BuildFailed(
            f"a model that `edgefn build` made is missing: {error.message}. Restore it, or make it "
            f"again: edgefn build {folder}"
        ) from error
    if sha256 != record.digests.get(path):
        raise BuildFailed(
            f"{folder / path} has SHA-256 {sha256}, not {record.digests.get(path)} as it was "
            f"built: restore it, or make it again: edgefn build {folder}"
        )
    return size, sha256
