"""Which bundles a version of edgefn serves."""

import pytest

from edgefn.box.compatibility import check_runtime
from edgefn.errors import DeploymentFailed


@pytest.mark.parametrize("wanted", ["", ">=0.1", ">=0.1,<2", "==0.1.*"])
def test_a_version_in_the_range_serves(wanted: str) -> None:
    """An empty range is any."""
    check_runtime(wanted, "0.1.0")


@pytest.mark.parametrize(
    ("wanted", "named"), [(">=0.2", ">=0.2"), ("<0.1", "<0.1"), ("x y", "x y")]
)
def test_a_version_outside_does_not(wanted: str, named: str) -> None:
    """The message has the range."""
    with pytest.raises(DeploymentFailed, match=named):
        check_runtime(wanted, "0.1.0")
