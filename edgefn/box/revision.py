"""One revision of a function, as it lies on the box."""

from dataclasses import dataclass
from pathlib import Path

from edgefn_runtime.lifecycle import ModelFile, ReplicaConfig
from edgefn_runtime.manifest import FunctionSpec, Manifest
from edgefn_runtime.variant import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A verified bundle with the number under which it is, or was, deployed.

    Attributes:
        number: Counts the deployments of this function on this box, from 1.
        digest: Of the manifest.
        manifest: What the bundle says of itself.
        root: Folder of its files.
        variant: The one that it serves.
    """

    number: int
    digest: str
    manifest: Manifest
    root: Path
    variant: Variant

    @property
    def function(self) -> str:
        """Name of the function."""
        return self.manifest.spec.name

    @property
    def spec(self) -> FunctionSpec:
        """What was declared."""
        return self.manifest.spec

    def replica_config(
        self, *, replica: str, socket: str, status: str, trial: bool
    ) -> ReplicaConfig:
        """Returns what a replica of this revision is told."""
        manifest = self.manifest
        return ReplicaConfig(
            replica=replica,
            function=self.function,
            revision=self.number,
            variant=self.variant.name,
            root=str(self.root),
            module=manifest.module,
            attribute=manifest.attribute,
            models={
                parameter: ModelFile(path, manifest.file(path).sha256)
                for parameter, path in self.variant.models.items()
            },
            socket=socket,
            status=status,
            trial=trial,
        )
