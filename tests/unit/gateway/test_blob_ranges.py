"""Which bytes of a blob are wanted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.gateway.blob_answer import range_of
from edgefn.gateway.errors import MalformedRequest, RangeNotSatisfiable


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_a_range_has_the_bytes_that_it_names(first, last, size):
    """Within the blob, or it is refused."""
    wanted = f"bytes={first}-{last}"
    named = [byte for byte in range(size) if first <= byte <= last]
    if not named:
        with pytest.raises(RangeNotSatisfiable):
            range_of(wanted, size)
    else:
        assert list(range(*range_of(wanted, size))) == named


def test_without_an_end_it_goes_to_the_end():
    """And without a range there is all."""
    assert range_of("bytes=4-", 10) == (4, 10)
    assert range_of(None, 10) == (0, 10)
    assert range_of(None, 0) == (0, 0)


@pytest.mark.parametrize(
    "wanted", ["", "bytes", "bytes=-5", "bytes=a-", "bytes=1-2,4-5", "lines=1-2", "bytes= 1-2"]
)
def test_anything_else_is_no_range(wanted):
    """Least of all several at once."""
    with pytest.raises(MalformedRequest):
        range_of(wanted, 10)
