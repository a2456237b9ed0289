"""Which variants are kept, and in which order."""

from hypothesis import given
from hypothesis import strategies as st

from edgefn.compress.judging.selection import choose, dominated, in_order, quality
from edgefn.compress.outcome import Outcome
from edgefn_runtime.variant import Estimate, Latency, Measurement, Variant


def variant(name: str, size: int, p50_us: float, accuracy: float | None = 0.9) -> Variant:
    estimate = None
    if accuracy is not None:
        estimate = Estimate(value=accuracy, low=0, high=1, rows=100)
    return Variant(
        name=name,
        backend="onnx",
        measured=Measurement(
            size_bytes=size,
            load_s=0.0,
            private_bytes=0,
            latencies=(
                Latency(batch=4, p50_s=1e-7, p95_s=1.0),
                Latency(batch=1, p50_s=p50_us * 1e-6, p95_s=1.0),
            ),
            accuracy=estimate,
        ),
    )


def test_worse_in_all_is_dominated():
    """By one that is kept, which is named."""
    best, worse = variant("best", 100, 10), variant("worse", 200, 20, 0.8)
    other = variant("accurate", 400, 40, 0.95)
    assert dominated([worse, other, best]) == {"worse": "best"}


def test_latencies_within_the_noise_are_equal():
    """Two hundredths faster is no reason to keep a larger file; a tenth is."""
    small = variant("small", 100, 102)
    assert dominated([small, variant("large", 200, 100)]) == {"large": "small"}
    assert dominated([small, variant("fast", 200, 90)]) == {}


def test_nothing_is_dropped_for_one_that_is_dropped():
    """A chain of small differences must not lose what is fast."""
    first, second = variant("a", 100, 102), variant("b", 200, 100)
    third = variant("c", 300, 98)
    assert dominated([first, second, third]) == {"b": "a"}


def test_the_fastest_that_meets_the_floor_comes_first():
    """Of equally fast ones, the smaller; those below the floor at the end."""
    variants = [
        variant("low", 50, 5, 0.5),
        variant("large", 300, 10),
        variant("small", 100, 10.2),
        variant("slow", 100, 30),
    ]
    names = [each.name for each in in_order(variants, 0.9)]
    assert names == ["small", "large", "slow", "low"]
    assert in_order(variants, None)[0].name == "low"


def test_without_labels_others_say_how_good_it_is():
    """Agreement, then noise; outputs that are equal bit for bit are the best."""
    measured = variant("v", 1, 1, None).measured
    assert measured is not None
    assert quality(measured) == float("inf")


ANY = st.builds(
    variant,
    st.uuids().map(lambda each: f"v{each.hex[:12]}"),
    st.integers(1, 4),
    st.floats(1, 2),
    st.sampled_from([0.8, 0.9, 1.0]),
)


@given(st.lists(ANY, min_size=1, max_size=12, unique_by=lambda each: each.name))
def test_what_is_dropped_has_a_kept_one_that_is_as_good(variants):
    """And something is always kept."""
    dropped = dominated(variants)
    names = {each.name for each in variants}
    assert names - dropped.keys()
    assert not dropped.keys() & set(dropped.values())
    assert sorted(each.name for each in in_order(variants, 0.85)) == sorted(names)


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
