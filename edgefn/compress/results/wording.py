"""How numbers of variants are told: three digits, in the unit that fits; empty if not measured."""

from edgefn.compress.outcome import Outcome
from edgefn_runtime.variant import Estimate


def size(count: int | None) -> str:
    """Returns a number of bytes in the unit that fits, decimal as in download sizes."""
    if count is None:
        return ""
    if count >= 1_000_000:
        return f"{count / 1e6:.3g} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
    return f"{count / 1e3:.0f} kB" if count >= 10_000 else f"{count / 1e3:.1f} kB"


def duration(value_s: float | None) -> str:
    """Returns a duration in milliseconds or microseconds, three digits."""
    if value_s is None:
        return ""
    return f"{value_s * 1e3:.3g} ms" if value_s >= 1e-3 else f"{value_s * 1e6:.3g} us"


def estimate(value: Estimate | None) -> str:
    """Returns a share in percent with its interval."""
    if value is None:
        return ""
    return f"{value.value * 100:.1f} % ({value.low * 100:.1f} to {value.high * 100:.1f})"


def snr(outcome: Outcome) -> str:
    """Returns the signal-to-noise ratio of a variant's outputs."""
    if outcome.snr_db is not None:
        return f"{outcome.snr_db:.0f} dB"
    # What was measured in a replica was evaluated before: no noise, then, and not no number.
    return "equal" if outcome.load_s is not None else ""
