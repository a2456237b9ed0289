"""Tables of variants."""

import io

from rich.console import Console
from rich.table import Table

from edgefn.cli.variant_table import explained_table, kept_table, rest_of
from edgefn.compress.outcome import Outcome
from edgefn_runtime.variant import Estimate, Latency

KEPT = Outcome(
    name="onnx-int8-static",
    state="kept",
    summary="8-bit weights",
    size_bytes=48_200,
    accuracy=Estimate(value=0.963, low=0.909, high=0.986, rows=108),
    snr_db=35.2,
    load_s=0.01,
    private_bytes=1,
    latencies=(Latency(batch=8, p50_s=1e-3, p95_s=2e-3), Latency(batch=1, p50_s=2e-5, p95_s=3e-5)),
)
REFUSED = Outcome(name="onnx-int4", state="refused", reason="accuracy 0.412 [bold]against[/bold]")
SKIPPED = Outcome(name="onnx-pruned-25", state="skipped", reason="needs the extra 'torch'")


def shown(table: Table) -> str:
    text = io.StringIO()
    Console(file=text, width=200).print(table)
    return text.getvalue()


def test_the_kept_ones_are_shown_with_their_numbers() -> None:
    """The latency is that of one row, the accuracy has its interval."""
    text = shown(kept_table([KEPT, REFUSED]))
    for number in ("48 kB", "20 us", "30 us", "96.3 % (90.9 to 98.6)", "35 dB"):
        assert number in text
    assert "onnx-int4" not in text


def test_all_are_explained() -> None:
    """A reason is text, never markup; what is kept says what it is."""
    text = shown(explained_table([KEPT, REFUSED, SKIPPED]))
    for part in ("8-bit weights", "refused", REFUSED.reason, "skipped", SKIPPED.reason):
        assert part in text


def test_those_left_out_are_counted() -> None:
    """In one line that says how to see more; none, if none were."""
    assert rest_of([KEPT, REFUSED, SKIPPED]) == "1 refused, 1 skipped; --explain says why"
    assert rest_of([KEPT]) == ""
