"""Whether a bundle's environment can be installed on this machine, as far as its manifest says."""

import functools
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from packaging.tags import Tag, sys_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from edgefn.bundle.installer import PLATFORM, PYTHON
from edgefn.bundle.lock import Locked, parse_lock
from edgefn.errors import DeploymentFailed
from edgefn_runtime.manifest import Environment, Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What decides which wheels can be installed.

    Attributes:
        python: Its version, as in `3.11`.
        platform: As in `linux_aarch64`, for people.
        tags: Of the wheels that it can use (PEP 425).
    """

    python: str = PYTHON
    platform: str = PLATFORM
    tags: Collection[Tag] = field(default_factory=lambda: frozenset(sys_tags()))

    def __str__(self) -> str:
        return f"{self.platform}, Python {self.python}"


@functools.cache
def this_machine() -> Machine:
    """Returns the machine that this process runs on."""
    return Machine()


def check_environment(manifest: Manifest, machine: Machine) -> None:
    """Makes sure that what a bundle says of its environment fits this machine.

    Whether an index has the wheels that the bundle does not bring shows when they are installed.

    Raises:
        DeploymentFailed: It is for another Python; or it brings wheels, and one is missing for this
            machine, or is not one of the lock's files. The message names each.
        InvalidLock: The lock is none.
    """
    environment = manifest.environment
    if environment is None:
        return
    if environment.python != machine.python:
        raise DeploymentFailed(
            f"the requirements of {manifest.spec.name} were locked for Python "
            f"{environment.python}, and this box runs Python {machine.python}: build the bundle "
            "with that version"
        )
    needed = [each for each in parse_lock(environment.lock) if each.applies()]
    if environment.wheels:
        brought = _wheels(environment, manifest)
        problems = [text for each in needed if (text := _problem(each, brought, machine))]
        if problems:
            raise DeploymentFailed(
                f"{'; '.join(problems)}; build with --vendor on a machine like this box",
                wheels=list(environment.wheels),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wheel:
    name: str
    version: Version
    tags: frozenset[Tag]
    sha256: str


def _wheels(environment: Environment, manifest: Manifest) -> list[_Wheel]:
    found = []
    for path in environment.wheels:
        try:
            name, version, _, tags = parse_wheel_filename(PurePosixPath(path).name)
        except InvalidWheelFilename as error:
            raise DeploymentFailed(f"{path!r} is not the name of a wheel") from error
        sha256 = manifest.file(path).sha256
        found.append(_Wheel(name=name, version=version, tags=tags, sha256=sha256))
    return found


def _problem(needed: Locked, brought: list[_Wheel], machine: Machine) -> str:
    name, version = canonicalize_name(needed.name), Version(needed.version)
    wheels = [wheel for wheel in brought if (wheel.name, wheel.version) == (name, version)]
    usable = [wheel for wheel in wheels if not wheel.tags.isdisjoint(machine.tags)]
    if not usable:
        others = sorted({tag.platform for wheel in wheels for tag in wheel.tags})
        has = f" (only for {', '.join(others)})" if others else ""
        return f"{name} {version} has no wheel for {machine} in the bundle{has}"
    if not any(wheel.sha256 in needed.hashes for wheel in usable):
        return f"the wheel of {name} {version} in the bundle is not the one that its lock names"
    return ""
