"""Whether the box's Python environment has what a function needs."""

from collections.abc import Callable, Iterable
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

from edgefn.errors import DeploymentFailed


def check_requirements(
    requirements: Iterable[str], version_of: Callable[[str], str] = metadata.version
) -> None:
    """Makes sure that all of them are met.

    Args:
        requirements: As PEP 508 writes them; those whose marker does not apply here are skipped.
        version_of: Returns the installed version of a distribution.

    Raises:
        DeploymentFailed: One is not met; the message names each, and what to do.
    """
    unmet = [problem for text in requirements if (problem := _problem(text, version_of))]
    if unmet:
        raise DeploymentFailed(
            f"the function needs what this box does not have: {'; '.join(unmet)}. "
            "Install it into the environment of the box, then deploy again",
            requirements=unmet,
        )


def _problem(text: str, version_of: Callable[[str], str]) -> str:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        return f"{text!r}, which is not a requirement ({error})".replace("\n", " ")
    if requirement.marker is not None and not requirement.marker.evaluate():
        return ""
    try:
        version = version_of(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{text} (not installed)"
    try:
        fits = requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        fits = False
    return "" if fits else f"{text} (installed: {version})"
