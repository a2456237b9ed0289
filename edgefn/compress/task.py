"""What a build is asked to do, and what it has to do it with."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from edgefn.bundle.description import Declared
from edgefn.bundle.gather import BuildFailed
from edgefn.compress.cache import Cache
from edgefn.compress.device.profile import Goal
from edgefn.compress.progress import Progress
from edgefn.compress.recipe import Source
from edgefn_runtime.variant import BACKEND_OF_SUFFIX

ROWS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the developer asked for.

    Attributes:
        data: A reference that takes the place of the declared `evaluate=`, or empty.
        rows: To be drawn at most.
        only: Names of the variants that are wanted; empty: all.
        keep_all: Whether to keep dominated variants.
    """

    data: str = ""
    rows: int = ROWS
    only: tuple[str, ...] = ()
    keep_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a build has at its disposal.

    Attributes:
        goal: The device that it is for.
        cache: Of earlier builds.
        progress: Is told how far it is.
        work: An empty folder for files that nobody needs afterwards.
    """

    goal: Goal
    cache: Cache
    progress: Progress
    work: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One function whose models are to be compressed.

    Attributes:
        file: That declares it.
        declared: What it declares.
        code_digest: Of all that its answers depend on, its models and the data apart.
        prefix: Of the names of its model files, to tell them from those of other functions.
    """

    file: Path
    declared: Declared
    code_digest: str
    prefix: str = ""

    @property
    def folder(self) -> Path:
        """Of the function."""
        return self.file.parent

    @property
    def name(self) -> str:
        """Of the function."""
        return self.declared.spec.name

    def given(self) -> dict[str, Path]:
        """Returns its model files as they were given, by parameter."""
        return {name: self.folder / path for name, path in self.declared.spec.models.items()}

    def sources(self) -> dict[str, Source]:
        """Returns its models as they were given, by parameter.

        Raises:
            BuildFailed: One is missing.
        """
        found = {}
        for parameter, path in self.given().items():
            try:
                data = path.read_bytes()
            except OSError as error:
                raise BuildFailed(
                    f"{self.name}: its model {path} ({parameter}=) cannot be read: {error.strerror}"
                ) from error
            backend = BACKEND_OF_SUFFIX.get(PurePosixPath(path).suffix.lower())
            found[parameter] = Source(data=data, format="tflite" if backend == "litert" else "onnx")
        return found
