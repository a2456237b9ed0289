"""What became of each variant that a build thought of."""

from typing import Literal

import msgspec

from edgefn_runtime.variant import Estimate, Latency, Measurement

State = Literal["kept", "dominated", "refused", "failed", "skipped"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One variant: kept, or left out for a reason.

    `skipped` was not tried, `failed` could not be made, loaded or run, `refused` is worse than the
    function allows, `dominated` is no better than another in any respect. What was not measured of
    it is None or empty.

    Attributes:
        name: Of the variant.
        state: What became of it.
        summary: What its recipe does, in one line.
        reason: Why it is not kept, in one line.
        size_bytes: Of its model files.
        accuracy: Mean score of the function's answers against the labels.
        agreement: Share of rows that are answered as with the model as given.
        snr_db: Signal-to-noise ratio of the models' outputs.
        load_s: From the bytes to models that are ready to run.
        private_bytes: Memory of a replica with it that no other process shares.
        latencies: Of the models alone, by batch.
        device: Name of the device that the latencies hold for.
    """

    name: str
    state: State
    summary: str = ""
    reason: str = ""
    size_bytes: int | None = None
    accuracy: Estimate | None = None
    agreement: Estimate | None = None
    snr_db: float | None = None
    load_s: float | None = None
    private_bytes: int | None = None
    latencies: tuple[Latency, ...] = ()
    device: str = ""

    @property
    def p50_s(self) -> float | None:
        """Median latency of the smallest batch, if it was measured."""
        return min(self.latencies, key=lambda each: each.batch).p50_s if self.latencies else None

    @property
    def measured(self) -> Measurement | None:
        """What a bundle says of it; None if it was never run in a replica."""
        if self.size_bytes is None or self.load_s is None or self.private_bytes is None:
            return None
        return Measurement(
            size_bytes=self.size_bytes,
            load_s=self.load_s,
            private_bytes=self.private_bytes,
            latencies=self.latencies,
            accuracy=self.accuracy,
            agreement=self.agreement,
            snr_db=self.snr_db,
            device=self.device,
        )
