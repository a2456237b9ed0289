"""Requirements against an environment that a test makes up."""

from importlib import metadata

import pytest

from edgefn.box.requirements import check_requirements
from edgefn.errors import DeploymentFailed

INSTALLED = {"numpy": "2.4.6", "pillow": "13.0.0rc1", "odd": "not-a-version"}


def version_of(name: str) -> str:
    if name not in INSTALLED:
        raise metadata.PackageNotFoundError(name)
    return INSTALLED[name]


@pytest.mark.parametrize(
    "requirement",
    ["numpy", "numpy>=2,<3", "pillow>=11", "scipy; python_version < '3'", "numpy[extra]"],
)
def test_what_is_there_is_met(requirement: str) -> None:
    """Versions, pre-releases and markers count as pip counts them."""
    check_requirements([requirement], version_of)


@pytest.mark.parametrize(
    ("requirement", "problem"),
    [
        ("scipy>=1", r"scipy>=1 \(not installed\)"),
        ("numpy<2", r"numpy<2 \(installed: 2.4.6\)"),
        ("odd>=1", r"odd>=1 \(installed: not-a-version\)"),
        ("numpy >< 3", "which is not a requirement"),
    ],
)
def test_what_is_missing_is_named(requirement: str, problem: str) -> None:
    """With what is there instead, and what to do."""
    with pytest.raises(DeploymentFailed, match=f"{problem}.*Install it"):
        check_requirements(["numpy", requirement], version_of)


def test_all_of_them_are_named_at_once() -> None:
    """Nobody has to deploy once for each."""
    with pytest.raises(DeploymentFailed) as caught:
        check_requirements(["scipy", "torch"], version_of)
    assert caught.value.detail == {
        "requirements": ["scipy (not installed)", "torch (not installed)"]
    }
