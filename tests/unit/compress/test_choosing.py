"""Which variants are kept, in which order."""

from edgefn.compress.choosing import choose
from edgefn.compress.outcome import Outcome
from edgefn_runtime.variant import Estimate, Latency, Measurement, Variant


def measured(name: str, size_bytes: int, p50_s: float, share: float) -> Variant:
    found = Estimate(value=share, low=share, high=share, rows=10)
    measurement = Measurement(
        size_bytes=size_bytes,
        load_s=0.1,
        private_bytes=1,
        latencies=(Latency(batch=1, p50_s=p50_s, p95_s=p50_s),),
        accuracy=found,
    )
    return Variant(name=name, backend="onnx", models={}, measured=measurement)


VARIANTS = (
    measured("onnx-fp32", 100, 1.0, 0.95),
    measured("onnx-fp16", 50, 2.0, 0.95),
    measured("onnx-int8", 25, 0.5, 0.95),
    measured("onnx-int4", 12, 0.8, 0.90),
)
OUTCOMES = (
    *(Outcome(name=each.name, state="kept") for each in VARIANTS),
    Outcome(name="onnx-pruned", state="skipped", reason="needs torch"),
    Outcome(name="onnx-bad", state="refused", reason="accuracy 0.1"),
)


def chosen(*, min_accuracy: float | None = None, keep_all: bool = False) -> list[tuple[str, str]]:
    outcomes, variants = choose(
        OUTCOMES,
        VARIANTS,
        references=("onnx-fp32",),
        min_accuracy=min_accuracy,
        keep_all=keep_all,
    )
    found = [(each.name, each.state) for each in outcomes]
    assert [name for name, state in found if state == "kept"] == [each.name for each in variants]
    return found


def test_dominated_variants_are_dropped_but_never_the_reference() -> None:
    """int8 is better than both; fp32 stays, because the others are compared with it."""
    assert chosen() == [
        ("onnx-int8", "kept"),
        ("onnx-int4", "kept"),
        ("onnx-fp32", "kept"),
        ("onnx-fp16", "dominated"),
        ("onnx-bad", "refused"),
        ("onnx-pruned", "skipped"),
    ]


def test_what_dominates_a_variant_is_named() -> None:
    """So that nobody has to guess."""
    outcomes, _ = choose(
        OUTCOMES, VARIANTS, references=("onnx-fp32",), min_accuracy=None, keep_all=False
    )
    (dropped,) = (each for each in outcomes if each.state == "dominated")
    assert dropped.reason == "no better than onnx-int8"


def test_all_are_kept_on_demand() -> None:
    """To look at them, or to serve them."""
    assert ("onnx-fp16", "kept") in chosen(keep_all=True)


def test_those_below_the_floor_come_last() -> None:
    """The fastest that is good enough serves by default."""
    assert chosen(min_accuracy=0.92)[2] == ("onnx-int4", "kept")
