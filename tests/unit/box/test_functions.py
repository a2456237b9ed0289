"""What the routing table says of a function's variants."""

from collections.abc import Callable

from edgefn.box.functions import Function
from edgefn.box.revision import Revision
from edgefn_runtime.variant import Measurement, Variant

MODELS = {"model": "m.onnx"}


def measured(load_s: float) -> Measurement:
    return Measurement(size_bytes=1, load_s=load_s, private_bytes=1, latencies=())


def test_a_start_that_was_never_seen_is_expected_to_take_what_others_took(
    make_revision: Callable[..., Revision],
) -> None:
    """Or what its models alone took where they were measured, if that is longer."""
    small = Variant(name="small", backend="onnx", models=MODELS, measured=measured(0.01))
    large = Variant(name="large", backend="onnx", models=MODELS, measured=measured(0.5))
    function = Function(serving=make_revision(variants=(small, large)))
    assert function.variant_route(small).load_s == 0.01
    function.load_s["large"] = 0.2
    assert function.variant_route(small).load_s == 0.2
    assert function.variant_route(large).load_s == 0.2, "what was seen here counts more"


def test_nothing_is_expected_of_a_start_of_which_nothing_is_known(
    make_revision: Callable[..., Revision],
) -> None:
    """The first start is then tried, and seen."""
    function = Function(serving=make_revision())
    assert function.variant_route(function.serving.default).load_s == 0.0
