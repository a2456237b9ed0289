"""What recipes that quantise to integers have in common: when it is worth it, and how far."""

from typing import TYPE_CHECKING, Final

from edgefn.compress.graphs.products import share_of

if TYPE_CHECKING:
    import onnx

LINEAR: Final = frozenset({"Gemm", "MatMul"})
# The nodes around an integer product take 140 bytes more than a MatMul (measured): three bytes an
# element have to pay well for them, as the last layer of a small network is the most sensitive.
WORTH_IT_ELEMENTS: Final = 256
# Of 8 bits of a weight 7 are used. x86 without VNNI adds two products of 8 bits up in 16, which
# saturate: a keyword network kept 10 dB of its signal there with 8 bits and 29 dB with 7, and 30
# and 29 where sums are exact (measured). A variant that was judged on one machine has to be as good
# on another.
REDUCE_RANGE: Final = True
# With less of the weights in what is quantised hardly anything would change but the answers.
WORTH_IT_SHARE: Final = 0.1


def too_little_in_products(model: "onnx.ModelProto", at_least: int) -> str:
    """Returns why a model's linear layers are not worth quantising alone, or nothing.

    Args:
        model: Any.
        at_least: Elements of a matrix that counts.
    """
    share = share_of(model, LINEAR, at_least)
    if not share:
        return "has no linear layer that is large enough to quantise"
    if share < WORTH_IT_SHARE:
        return f"only {share:.0%} of its weights are in linear layers"
    return ""
