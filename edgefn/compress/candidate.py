"""A variant on its way through a build."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from edgefn.compress.device.profile import Goal
from edgefn.compress.evaluation.result import Evaluation
from edgefn.compress.outcome import Outcome, State
from edgefn_runtime.variant import Measurement, Variant


@dataclass(slots=True, kw_only=True)
class Candidate:
    """A variant that was made, and what is known of it so far.

    Attributes:
        backend: What runs it.
        models: Its files where they lie during the build, by parameter.
        paths: Of these files in the function's folder, by parameter.
        outcome: What is known; `kept` as long as nothing speaks against it.
    """

    backend: str
    models: dict[str, Path]
    paths: dict[str, str]
    outcome: Outcome

    @property
    def name(self) -> str:
        """Of the variant."""
        return self.outcome.name

    @property
    def is_alive(self) -> bool:
        """Whether nothing speaks against it."""
        return self.outcome.state == "kept"

    def end(self, state: State, reason: str) -> None:
        """Notes what speaks against it."""
        self.outcome = replace(self.outcome, state=state, reason=reason)

    def evaluated(self, found: Evaluation) -> None:
        """Notes how well it answers."""
        noisy = found.snr_db is not None and math.isfinite(found.snr_db)
        self.outcome = replace(
            self.outcome,
            accuracy=found.accuracy,
            agreement=found.agreeing,
            snr_db=found.snr_db if noisy else None,
        )

    def measured(self, found: Measurement, goal: Goal) -> None:
        """Notes what it costs: as measured here, or as predicted for the device of the goal."""
        self.outcome = replace(
            self.outcome,
            load_s=found.load_s,
            private_bytes=found.private_bytes,
            latencies=goal.latencies(found.latencies),
            device=goal.device.name,
        )

    def variant(self) -> Variant:
        """Returns it as a bundle has it."""
        return Variant(
            name=self.name,
            backend=self.backend,
            models=self.paths,
            recipe=self.outcome.summary,
            measured=self.outcome.measured,
        )

    def digests(self) -> dict[str, str]:
        """Returns the SHA-256 of each of its files, by path in the function's folder."""
        return {
            path: hashlib.sha256(self.models[parameter].read_bytes()).hexdigest()
            for parameter, path in self.paths.items()
        }
