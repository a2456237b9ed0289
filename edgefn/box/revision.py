"""One revision of a function, as it lies on the box."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgefn.bundle.signing import Signature
from edgefn_runtime.lifecycle import ModelFile, ReplicaConfig
from edgefn_runtime.manifest import FunctionSpec, Manifest
from edgefn_runtime.optimised import OptimisedForm
from edgefn_runtime.variant import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A verified bundle with the number under which it is, or was, deployed.

    Attributes:
        number: Counts the deployments of this function on this box, from 1; 0: it was never
            deployed here, and is only known of.
        digest: Of the manifest.
        manifest: What the bundle says of itself.
        root: Folder of its files.
        signature: That it came with; None if it came before there were signatures.
        refused: Why the box does not serve a variant, for those that it does not.
        optimised: Forms of models, by their SHA-256, that the box has at the moment.
        elsewhere: Why it is for other boxes of the fleet alone; empty: it is served here. Then
            nothing is started for it, its files may not be here, and calls go to peers.
    """

    number: int
    digest: str
    manifest: Manifest
    root: Path
    signature: Signature | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    optimised: Mapping[str, OptimisedForm] = field(default_factory=dict)
    elsewhere: str = ""

    @property
    def is_announced(self) -> bool:
        """Whether it is only known of."""
        return self.number == 0

    @property
    def function(self) -> str:
        """Name of the function."""
        return self.manifest.spec.name

    @property
    def spec(self) -> FunctionSpec:
        """What was declared."""
        return self.manifest.spec

    @property
    def environment(self) -> str:
        """Digest of its environment; empty if it is that of the box."""
        return self.manifest.environment.digest() if self.manifest.environment else ""

    @property
    def default(self) -> Variant:
        """The variant for calls that ask for none: the first that the box serves.

        If it serves none, as after a backend was taken off it, the first of all.
        """
        variants = self.manifest.variants
        return next((one for one in variants if one.name not in self.refused), variants[0])

    @property
    def unservable_because(self) -> str:
        """Why the box serves none of its variants; empty if it serves any."""
        if self.default.name not in self.refused:
            return ""
        reasons = "; ".join(f"{name}: {reason}" for name, reason in self.refused.items())
        return f"this box can serve no variant of {self.function}: {reasons}"

    def replica_config(
        self, *, replica: str, variant: Variant, socket: str, status: str, trial: bool
    ) -> ReplicaConfig:
        """Returns what a replica of this revision is told."""
        manifest = self.manifest
        digests = {path: manifest.file(path).sha256 for path in variant.models.values()}
        return ReplicaConfig(
            replica=replica,
            function=self.function,
            revision=self.number,
            variant=variant.name,
            root=str(self.root),
            module=manifest.module,
            attribute=manifest.attribute,
            models={
                parameter: ModelFile(path, digests[path], self.optimised.get(digests[path]))
                for parameter, path in variant.models.items()
            },
            socket=socket,
            status=status,
            trial=trial,
        )
