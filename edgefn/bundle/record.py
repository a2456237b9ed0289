"""What `edgefn build` leaves in a function's folder: its variants, and of what they were made.

    <folder>/variants/variants.json     this record
    <folder>/variants/<file>            the models of the variants

Like a lock file it is meant to be committed. Deploying reads it and compresses nothing, so that a
change of the code is live within a second.
"""

from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from edgefn.bundle.gather import BuildFailed
from edgefn_runtime.manifest import DIGEST_PATTERN
from edgefn_runtime.variant import Variant

FOLDER: Final = "variants"
RECORD_FILE: Final = "variants.json"
FORMAT: Final = 1

_Digest = Annotated[str, msgspec.Meta(pattern=DIGEST_PATTERN)]


class FunctionRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The variants of one function.

    Attributes:
        given: SHA-256 of each model as the developer gave it, by parameter.
        variants: The preferred one first; their paths are relative to the function's folder.
        digests: SHA-256 of each file that they name.
        made_with: Versions, device, data and recipes, for those who want to know.
    """

    given: dict[str, _Digest]
    variants: tuple[Variant, ...]
    digests: dict[str, _Digest]
    made_with: dict[str, Any] = {}


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of the file: one record a function, by name."""

    format: int = FORMAT
    functions: dict[str, FunctionRecord]


def path_of(folder: Path) -> Path:
    """Returns where the record of a function's folder is, or would be."""
    return folder / FOLDER / RECORD_FILE


def read_record(folder: Path) -> Record | None:
    """Returns the record of a function's folder; None if nothing was built there.

    Raises:
        BuildFailed: It is damaged, or of another version.
    """
    path = path_of(folder)
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BuildFailed(
            f"{path} cannot be read: {error}. Restore it, or make it again: edgefn build {folder}"
        ) from error
    if record.format != FORMAT:
        raise BuildFailed(
            f"{path} has format {record.format}; this edgefn reads {FORMAT}. Upgrade edgefn, or "
            f"make it again: edgefn build {folder}"
        )
    return record
