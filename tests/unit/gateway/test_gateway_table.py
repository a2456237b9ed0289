"""What the router is told of deployed functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.gateway.control import FunctionRoute, ReplicaRoute, VariantRoute
from edgefn.gateway.table import PeerEndpoint, deployment_of, endpoints_of, fit, spread
from edgefn.routing.table import DeployedEndpoint
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec
from edgefn_runtime.variant import Latency, Measurement, Variant


def measured(*latencies):
    return Measurement(size_bytes=1, load_s=0.1, private_bytes=1, latencies=latencies)


def make_route(**spec):
    first = Variant(
        name="onnx",
        backend="onnx",
        measured=measured(
            Latency(batch=1, p50_s=0.003, p95_s=0.004), Latency(batch=4, p50_s=0.009, p95_s=0.010)
        ),
    )
    return FunctionRoute(
        name="f",
        revision=3,
        spec=FunctionSpec(name="f", **spec),
        schema=FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=()),
        variants=(
            VariantRoute(variant=first, load_s=0.5),
            VariantRoute(
                variant=Variant(name="b", backend="litert"), state="unavailable", reason="x"
            ),
        ),
        default="onnx",
        replicas=(ReplicaRoute("r1", "onnx", "s1"),),
        digest="d1",
    )


def make_peer(**changes):
    told = {"function": "f", "digest": "d1", "variant": "onnx", **changes}
    return PeerEndpoint(endpoint=DeployedEndpoint(name="peer/f", place="peer"), **told)


def test_a_route_becomes_a_deployment():
    """With all that a developer declared and the build measured."""
    told = deployment_of(
        make_route(
            idempotent=True,
            escalate_below=0.8,
            degrade=True,
            min_accuracy=0.9,
            batch=4,
            objective="energy",
            tiers=("cloud",),
        )
    )
    assert (told.name, told.revision, told.default) == ("f", 3, "onnx")
    assert (told.idempotent, told.escalate_below, told.degrade) == (True, 0.8, True)
    assert (told.min_accuracy, told.max_batch, told.objective) == (0.9, 4, "energy")
    assert told.tiers == ("cloud",)
    first, second = told.variants
    assert (first.fixed_s, first.each_s) == pytest.approx((0.001, 0.002))
    assert first.load_s == 0.5 and first.cv == pytest.approx(1 / 3 / 1.645)
    assert (second.unavailable, second.fixed_s, second.cv) == ("x", 0.0, 0.1)


def test_a_peer_counts_only_with_the_same_bundle():
    """Another digest, function or variant gives other answers."""
    for peer, counts in (
        (make_peer(), True),
        (make_peer(digest="d2"), False),
        (make_peer(function="g"), False),
        (make_peer(variant="c"), False),
    ):
        told = deployment_of(make_route(), (peer,))
        assert list(endpoints_of((told,))) == ["r1", "peer/f"][: 1 + counts]


@given(st.lists(st.tuples(st.integers(1, 64), st.floats(1e-6, 10.0)), max_size=6))
def test_a_fit_never_promises_less_than_nothing(points):
    """Whatever was measured."""
    latencies = [Latency(batch=batch, p50_s=p50_s, p95_s=p50_s * 1.2) for batch, p50_s in points]
    fixed_s, each_s = fit(latencies)
    assert fixed_s >= 0.0 and each_s >= 0.0
    assert bool(latencies) == (fixed_s + each_s > 0.0)
    assert 0.02 <= spread(latencies) <= 1.0


def test_one_batch_size_says_nothing_of_savings():
    """Then each call is taken to cost the same."""
    assert fit([Latency(batch=4, p50_s=0.008, p95_s=0.01)]) == pytest.approx((0.0, 0.002))
