"""Whether this version of edgefn can serve a bundle."""

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from edgefn.errors import DeploymentFailed


def check_runtime(wanted: str, version: str) -> None:
    """Makes sure that a version is in the range that a bundle names.

    Args:
        wanted: The range (PEP 440); empty: any.
        version: Of this edgefn.

    Raises:
        DeploymentFailed: It is not, or the range is none.
    """
    try:
        fits = SpecifierSet(wanted).contains(version, prereleases=True)
    except InvalidSpecifier as error:
        raise DeploymentFailed(
            f"the bundle names no range of versions but {wanted!r}; build it again"
        ) from error
    if not fits:
        raise DeploymentFailed(
            f"the bundle needs edgefn {wanted}, and this box has {version}: upgrade the box, or "
            "build the bundle with the version of the box"
        )
