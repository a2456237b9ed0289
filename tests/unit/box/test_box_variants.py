"""Which variants a box serves."""

from collections.abc import Callable

import msgspec
import pytest

from edgefn.box.revision import Revision
from edgefn.box.variants import refusals
from edgefn_runtime.manifest import Environment, Scale
from edgefn_runtime.variant import Estimate, Measurement, Variant

MakeRevision = Callable[..., Revision]


def variant(name: str, backend: str = "onnx", accuracy: float | None = None) -> Variant:
    if accuracy is None:
        return Variant(name=name, backend=backend)
    estimate = Estimate(value=accuracy, low=0.0, high=1.0, rows=100)
    measured = Measurement(
        size_bytes=1, load_s=0.1, private_bytes=1, latencies=(), accuracy=estimate
    )
    return Variant(name=name, backend=backend, measured=measured)


@pytest.mark.parametrize(
    ("installed", "refused"),
    [
        ({"onnxruntime", "ai_edge_litert"}, []),
        ({"onnxruntime", "tflite_runtime"}, []),
        ({"onnxruntime"}, ["lite", "both"]),
        (set(), ["lite", "both", "full"]),
    ],
)
def test_a_variant_needs_its_engines(
    make_revision: MakeRevision, installed: set[str], refused: list[str]
) -> None:
    """Any one of those that run its backend; a function without a model needs none."""
    variants = (
        variant("lite", "litert"),
        variant("both", "onnx+litert"),
        variant("full"),
        variant("none", "python"),
    )
    manifest = make_revision(variants=variants).manifest
    assert list(refusals(manifest, installed.__contains__)) == refused
    told = " ".join(refusals(manifest, installed.__contains__).values())
    assert ("ai-edge-litert or tflite-runtime" in told) == ("lite" in refused)


def test_an_environment_may_bring_the_engine(make_revision: MakeRevision) -> None:
    """It is in the lock, whatever the box has."""
    manifest = make_revision(variants=(variant("lite", "litert"),)).manifest
    lock = f"ai-edge-litert==2.1.0 \\\n    --hash=sha256:{'0' * 64}\n# a comment\n"
    brought = msgspec.structs.replace(manifest, environment=Environment(lock=lock, python="3.11"))
    assert list(refusals(manifest, {"onnxruntime"}.__contains__)) == ["lite"]
    assert refusals(brought, {"onnxruntime"}.__contains__) == {}


def test_a_backend_that_nobody_knows_is_refused(make_revision: MakeRevision) -> None:
    """Bundles may be newer than boxes."""
    manifest = make_revision(variants=(variant("new", "quantum"), variant("full"))).manifest
    assert refusals(manifest) == {"new": "this box knows no backend 'quantum'; upgrade it"}


def test_no_variant_below_the_floor_serves(make_revision: MakeRevision) -> None:
    """What was measured below it, that is; the next one is the default."""
    variants = (variant("bad", accuracy=0.8), variant("good", accuracy=0.9), variant("unknown"))
    plain = make_revision(variants=variants, min_accuracy=0.85)
    refused = refusals(plain.manifest)
    assert refused == {"bad": "its accuracy of 0.8 is below the function's floor of 0.85"}
    assert make_revision(variants=variants, refused=refused).default.name == "good"


def test_a_function_without_room_serves_its_default_only(make_revision: MakeRevision) -> None:
    """Where the minimum is the maximum, no replica of another variant could ever start."""
    variants = (variant("first"), variant("second"))
    manifest = make_revision(variants=variants, scale=Scale(min=2, max=2)).manifest
    assert refusals(manifest) == {
        "second": "first keeps all 2 replicas that the function's scale allows"
    }


def test_a_revision_that_cannot_serve_says_why(make_revision: MakeRevision) -> None:
    """Each variant with its own reason."""
    revision = make_revision(
        variants=(variant("a"), variant("b")), refused={"a": "no engine", "b": "too bad"}
    )
    assert revision.default.name == "a"
    assert revision.unservable_because == (
        "this box can serve no variant of f: a: no engine; b: too bad"
    )
    assert make_revision().unservable_because == ""
