"""The replicas of a function, shared among its variants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.scaling.share import share


@pytest.mark.parametrize(
    ("wanted", "minimum", "maximum", "given_"),
    [
        ([4], 1, 4, [4]),
        ([1, 2], 1, 4, [1, 2]),
        ([4, 1], 1, 4, [3, 1]),
        ([4, 2, 1], 1, 4, [2, 1, 1]),
        ([2, 4], 1, 4, [2, 2]),
        ([1, 1], 1, 1, [1, 0]),
        ([0, 1], 0, 1, [0, 1]),
        ([3, 1], 3, 3, [3, 0]),
        ([1, 1, 1], 1, 2, [1, 1, 0]),
    ],
)
def test_the_default_variant_comes_first(
    wanted: list[int], minimum: int, maximum: int, given_: list[int]
) -> None:
    """But what it has beyond its minimum makes room for the first replica of another one."""
    assert share(wanted, minimum=minimum, maximum=maximum) == given_


@given(st.lists(st.integers(0, 8), min_size=1, max_size=6), st.integers(0, 4), st.integers(1, 8))
def test_no_more_are_given_than_wanted_or_allowed(
    wanted: list[int], minimum: int, maximum: int
) -> None:
    """And nothing is held back while any is wanted."""
    given_ = share(wanted, minimum=minimum, maximum=maximum)
    assert all(0 <= count <= want for count, want in zip(given_, wanted, strict=True))
    assert sum(given_) == min(sum(wanted), maximum)
    assert given_[0] >= min(wanted[0], minimum, maximum)
