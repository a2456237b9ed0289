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
    assert share(wanted, [0.0] * len(wanted), minimum=minimum, maximum=maximum) == given_


@pytest.mark.parametrize(
    ("wanted", "quiet_s", "minimum", "maximum", "given_"),
    [
        ([1, 1], [9.0, 0.0], 0, 1, [0, 1]),
        ([1, 1], [0.0, 9.0], 0, 1, [1, 0]),
        ([1, 1], [9.0, 0.0], 1, 1, [1, 0]),
        ([1, 1, 1], [0.0, 9.0, 0.0], 1, 2, [1, 0, 1]),
        ([1, 1, 1], [0.0, 5.0, 9.0], 1, 2, [1, 1, 0]),
        ([2, 1, 1], [9.0, 5.0, 0.0], 0, 2, [0, 1, 1]),
        ([4, 3], [9.0, 0.0], 1, 4, [1, 3]),
    ],
)
def test_what_is_called_comes_before_what_is_only_warm(
    wanted: list[int], quiet_s: list[float], minimum: int, maximum: int, given_: list[int]
) -> None:
    """And what is warm stays in the order in which it was called last."""
    assert share(wanted, quiet_s, minimum=minimum, maximum=maximum) == given_


@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.sampled_from([0.0, 2.0, 9.0])), min_size=1, max_size=6
    ),
    st.integers(0, 4),
    st.integers(1, 8),
)
def test_no_more_are_given_than_wanted_or_allowed(
    variants: list[tuple[int, float]], minimum: int, maximum: int
) -> None:
    """And nothing is held back while any is wanted."""
    wanted, quiet_s = [each[0] for each in variants], [each[1] for each in variants]
    given_ = share(wanted, quiet_s, minimum=minimum, maximum=maximum)
    assert all(0 <= count <= want for count, want in zip(given_, wanted, strict=True))
    assert sum(given_) == min(sum(wanted), maximum)
    assert given_[0] >= min(wanted[0], minimum, maximum)
