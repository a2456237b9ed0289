"""The table of variants that `edgefn describe` prints."""

import io

from rich.console import Console

from edgefn.cli.describe import variant_table
from edgefn.client.status import VariantStatus
from edgefn_runtime.variant import Estimate, Latency, Measurement


def test_variants_are_shown_with_what_was_measured() -> None:
    """Size, latency of a single call, accuracy with its interval; or why one cannot be called."""
    measured = Measurement(
        size_bytes=40_000,
        load_s=0.01,
        private_bytes=3 << 20,
        latencies=(
            Latency(batch=1, p50_s=0.00125, p95_s=0.002),
            Latency(batch=8, p50_s=0.009, p95_s=0.01),
        ),
        accuracy=Estimate(value=0.9512, low=0.94, high=0.96, rows=1000),
    )
    table = variant_table(
        [
            VariantStatus(name="onnx-int8", default=True, replicas=2, measured=measured),
            VariantStatus(name="litert", state="unavailable", reason="it needs [ai-edge-litert]"),
            VariantStatus(name="onnx-fp32", recipe="simplified"),
        ]
    )
    out = io.StringIO()
    Console(file=out, width=200).print(table)
    first, second, third = out.getvalue().splitlines()[2:5]
    for told in ("onnx-int8", "default", "40 kB", "1.25 ms", "3.0 MiB", "0.9512 (0.94 to 0.96)"):
        assert told in first
    assert "unavailable" in second and "it needs [ai-edge-litert]" in second
    assert "available" in third and "simplified" in third
