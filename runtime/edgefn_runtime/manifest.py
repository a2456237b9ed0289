"""What a bundle says of itself: its files by digest, and one function's spec and schema.

The reader owns the format, because boxes upgrade last. A manifest is data: nothing in it is code,
and its digest is that of its canonical bytes.
"""

import hashlib
import unicodedata
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal

import msgspec

from edgefn_runtime.errors import EdgefnError
from edgefn_runtime.variant import Variant

FORMAT: Final = 2
MAX_FILES: Final = 4096
MAX_VARIANTS: Final = 64
MAX_SAMPLES: Final = 16
ASYNC_RUNS: Final = 64  # of a coroutine function, at once in a replica
MAX_BUNDLE_BYTES: Final = 512 * 1024 * 1024
MAX_MANIFEST_BYTES: Final = 3 * 1024 * 1024
MAX_PATH_BYTES: Final = 1024
# With \Z: $ takes a line end as well, and a name is printed, logged and sent in headers.
NAME_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,62}\Z"
DIGEST_PATTERN: Final = r"^[0-9a-f]{64}\Z"

Objective = Literal["latency", "balanced", "accuracy", "energy"]


class InvalidManifest(EdgefnError):
    """A manifest that is not one, or that names what it may not."""

    code = "invalid_manifest"


class BundleTooLarge(InvalidManifest):
    """A bundle beyond the limits on its size or its number of files."""

    code = "bundle_too_large"


class Scale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many replicas a function may have on a box.

    Attributes:
        min: Kept even when nobody calls; 0 lets the first call pay the cold start.
        max: Never more than this.
        idle_s: A replica beyond `min` that had no call for so long is drained.
    """

    min: int = 1
    max: int = 4
    idle_s: float = 300.0


class Alert(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"for_": "for"}
):
    """What a function's answers set off: an event when something begins, and one when it ends.

    It is kept for each source by itself (header `Edgefn-Source`). In a spec all fields are filled.

    Attributes:
        when: A condition on the answer, as in `"score > 0.9 and not muted"`.
        to: Where events go: `webhook:http://...`, `mqtt://host/topic` or `file:name.jsonl`; one or
            several.
        for_: Of how many answers how many must agree, as in `"3 of 5"`, before it is raised, and
            before it is cleared. None: `"1 of 1"`.
        clear: A condition for it to end; None: when `when` does not hold.
        name: Of the alert; None: `alert`, or `alert-2` for the second of a function.
    """

    when: str
    to: str | tuple[str, ...]
    for_: str | None = None
    clear: str | None = None
    name: str | None = None


class FunctionSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a developer declared with `@edge_function`, in seconds and bytes.

    Attributes:
        name: Under which it is called.
        doc: The first paragraph of its docstring.
        models: Parameter name to model file, relative to the function's folder.
        deadline_s: For calls that bring none of their own; None: no deadline.
        min_accuracy: Below this no variant is served.
        tiers: Where it may run, in order of preference.
        batch: Most calls that one run of the function may take; 1: it takes single values.
        scale: Replicas on a box.
        timeout_s: Wall-clock limit on one run of the user's code.
        requirements: Distributions that it needs (PEP 508).
        objective: What the router prefers among variants that meet the deadline.
        is_async: Whether it is a coroutine function.
        priority: Of its calls, from 0 to 9; under overload the lower ones are refused first, of all
            functions of a box.
        idempotent: Whether a call may run twice.
        escalate_below: An answer of less confidence goes to a better variant; None: never.
        degrade: Whether a variant below `min_accuracy` may answer what none above it could in time.
        on_result: What its answers set off.
    """

    name: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    doc: str = ""
    models: dict[str, str] = {}
    deadline_s: float | None = None
    min_accuracy: float | None = None
    tiers: tuple[str, ...] = ("edge", "cloud")
    batch: int = 1
    scale: Scale = Scale()
    timeout_s: float = 30.0
    requirements: tuple[str, ...] = ()
    objective: Objective = "latency"
    is_async: bool = False
    priority: Annotated[int, msgspec.Meta(ge=0, le=9)] = 5
    idempotent: bool = False
    escalate_below: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    degrade: bool = False
    on_result: tuple[Alert, ...] = ()


_LATER_FIELDS: Final = {
    "priority": 5,
    "idempotent": False,
    "escalate_below": None,
    "degrade": False,
    "on_result": (),
}


class V2Tensor(msgspec.Struct, frozen=True):
    """One input or output as the Open Inference Protocol names it; -1 is a free dimension."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class FunctionSchema(msgspec.Struct, frozen=True, kw_only=True):
    """What goes in and out, for those who never see the Python code.

    Attributes:
        input: JSON Schema of the request body, an object with one property a parameter.
        output: JSON Schema of the answer.
        v2_inputs: The same for the Open Inference Protocol.
        v2_outputs: The same for the Open Inference Protocol.
        media_types: Content types whose bytes alone are a whole call, for functions that need
            nothing but one image or sound.
    """

    input: dict[str, Any]
    output: dict[str, Any]
    v2_inputs: tuple[V2Tensor, ...]
    v2_outputs: tuple[V2Tensor, ...]
    media_types: tuple[str, ...] = ()


class BundleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One regular file of a bundle."""

    path: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Annotated[str, msgspec.Meta(pattern=DIGEST_PATTERN)]


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The distributions that a function runs with, beside what the box itself has.

    Attributes:
        lock: Lines of a requirements file as pip reads it: exact versions, each with the SHA-256 of
            the files that may be installed.
        python: Version of Python that it was resolved for, as in `3.11`.
        wheels: Those that the bundle brings along, all of them or none; paths in it.
    """

    lock: str
    python: str
    wheels: tuple[str, ...] = ()

    def digest(self) -> str:
        """Returns the SHA-256 of what is installed, in hex: equal locks share an environment."""
        return hashlib.sha256(f"{self.python}\n{self.lock}".encode()).hexdigest()


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One function, ready to be deployed.

    Attributes:
        format: Version of this format.
        runtime: Versions of edgefn that can serve it (PEP 440), as in `>=0.1`.
        module: The file that declares the function, one of `files`.
        attribute: Its name in that module.
        spec: What was declared.
        schema: What goes in and out.
        variants: Forms of its models, the preferred one first; never empty.
        environment: What `spec.requirements` were resolved to; None without requirements.
        samples: Calls that a new revision must answer before it serves; paths in the bundle, each
            a whole request body whose suffix says its content type.
        files: All of the bundle, sorted by path.
    """

    format: int = FORMAT
    runtime: str = ""
    module: str
    attribute: str
    spec: FunctionSpec
    schema: FunctionSchema
    variants: tuple[Variant, ...]
    environment: Environment | None = None
    samples: tuple[str, ...] = ()
    files: tuple[BundleFile, ...]

    def encode(self) -> bytes:
        """Returns the canonical bytes: the same manifest always gives the same ones.

        Fields that format 2 did not have at first are left out where they say nothing, so that
        what was signed before keeps its bytes.
        """
        spec = msgspec.to_builtins(self.spec, order="deterministic")
        for name, default in _LATER_FIELDS.items():
            if spec[name] == default:
                del spec[name]
        written = msgspec.structs.replace(self, spec=msgspec.Raw(msgspec.json.encode(spec)))
        return msgspec.json.encode(written, order="deterministic")

    def digest(self) -> str:
        """Returns the SHA-256 of the canonical bytes, in hex."""
        return hashlib.sha256(self.encode()).hexdigest()

    def file(self, path: str) -> BundleFile:
        """Returns the file at a path of the bundle.

        Raises:
            InvalidManifest: No such file is listed.
        """
        for file in self.files:
            if file.path == path:
                return file
        raise InvalidManifest(f"{path!r} is not among the files of function {self.spec.name!r}")

    def variant(self, name: str) -> Variant:
        """Returns a variant by its name.

        Raises:
            InvalidManifest: There is none of that name.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise InvalidManifest(f"function {self.spec.name!r} has no variant {name!r}")


def decode_manifest(data: bytes) -> Manifest:
    """Parses and checks a manifest.

    Raises:
        InvalidManifest: It is malformed, too new, or names a path that is not a plain relative one.
        BundleTooLarge: It has too many files, or too large ones.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise BundleTooLarge(
            f"the manifest has {len(data)} bytes; at most {MAX_MANIFEST_BYTES} may be"
        )
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidManifest(f"not a manifest: {error}") from error
    if manifest.format != FORMAT:
        raise InvalidManifest(
            f"the bundle has format {manifest.format}; this box reads {FORMAT}. Upgrade the box."
        )
    _check_files(manifest.files)
    _check_variants(manifest)
    wheels = manifest.environment.wheels if manifest.environment else ()
    for path in (manifest.module, *manifest.samples, *wheels):
        manifest.file(path)
    if len(manifest.samples) > MAX_SAMPLES:
        raise InvalidManifest(
            f"the bundle has {len(manifest.samples)} samples; at most {MAX_SAMPLES} may be"
        )
    return manifest


def decode_canonical_manifest(data: bytes) -> Manifest:
    """Parses and checks a manifest whose very bytes matter, because they were signed.

    Raises:
        InvalidManifest: As `decode_manifest`, or the bytes are not what `Manifest.encode` returns:
            spaces, another order, fields twice or unknown.
    """
    manifest = decode_manifest(data)
    if manifest.encode() != data:
        raise InvalidManifest(
            "the manifest is not in its canonical form: send the bytes of the bundle as they are"
        )
    return manifest


def _check_variants(manifest: Manifest) -> None:
    names = [variant.name for variant in manifest.variants]
    if not 1 <= len(names) <= MAX_VARIANTS or len(set(names)) < len(names):
        raise InvalidManifest(
            f"a bundle has 1 to {MAX_VARIANTS} variants, each of its own name; this has {names}"
        )
    for variant in manifest.variants:
        if variant.models.keys() != manifest.spec.models.keys():
            raise InvalidManifest(
                f"variant {variant.name!r} has models for {sorted(variant.models)}; the function "
                f"takes {sorted(manifest.spec.models)}"
            )
        for path in variant.models.values():
            manifest.file(path)


def _check_files(files: tuple[BundleFile, ...]) -> None:
    if len(files) > MAX_FILES:
        raise BundleTooLarge(f"the bundle has {len(files)} files; at most {MAX_FILES} may be")
    total_bytes = sum(file.size for file in files)
    if total_bytes > MAX_BUNDLE_BYTES:
        raise BundleTooLarge(
            f"the bundle has {total_bytes} bytes; at most {MAX_BUNDLE_BYTES} may be"
        )
    sizes: dict[str, int] = {}
    seen: set[str] = set()
    for file in files:
        check_path(file.path)
        if sizes.setdefault(file.sha256, file.size) != file.size:
            raise InvalidManifest(f"{file.path!r} has another size than a file of equal content")
        folded = _folded(file.path)
        if folded in seen:
            raise InvalidManifest(f"{file.path!r} is listed twice (letter case does not count)")
        seen.add(folded)
    for path in seen:
        for parent in PurePosixPath(path).parents:
            if str(parent) in seen:
                raise InvalidManifest(f"{str(parent)!r} is listed as a file, and {path!r} below it")


def _folded(path: str) -> str:
    """Returns a path as file systems see it that ignore letter case or compose characters."""
    composed = unicodedata.normalize("NFC", path)
    return unicodedata.normalize("NFC", composed.casefold())


def check_path(path: str) -> None:
    """Refuses everything but a plain relative path.

    Raises:
        InvalidManifest: It is absolute, climbs, or is spelled in a way that two systems read
            differently.
    """
    parts = PurePosixPath(path).parts
    plain = (
        parts
        and "/".join(parts) == path
        and not path.startswith("/")
        and ".." not in parts
        and "\\" not in path
        and path.isprintable()
        and len(path.encode()) <= MAX_PATH_BYTES
        and all(len(part.encode()) <= 255 for part in parts)
    )
    if not plain:
        raise InvalidManifest(f"{path!r} is not a plain relative path")
