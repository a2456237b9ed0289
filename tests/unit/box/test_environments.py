"""Which environments fit a box, what vouches for one, and what is collected."""

from pathlib import Path

import pytest
from packaging.tags import Tag

from edgefn.box.environments import Environments
from edgefn.box.install_order import RECORD_FILE, record
from edgefn.box.self_check import problems
from edgefn.box.wheels import Machine, check_environment
from edgefn.errors import DeploymentFailed
from edgefn_runtime.manifest import (
    BundleFile,
    Environment,
    FunctionSchema,
    FunctionSpec,
    Manifest,
)
from edgefn_runtime.variant import as_given

HERE, OTHER = "a" * 64, "b" * 64
LOCK = f"""\
pure==1.0 --hash=sha256:{HERE}
scipy==1.16.0 --hash=sha256:{HERE} --hash=sha256:{OTHER}
windows-only==1.0 ; sys_platform == "win32" --hash=sha256:{HERE}
"""
BOX = Machine(
    python="3.11",
    platform="linux_aarch64",
    tags=[Tag("cp311", "cp311", "manylinux_2_28_aarch64"), Tag("py3", "none", "any")],
)


def manifest(python: str = "3.11", **wheels: str) -> Manifest:
    """Returns one with these wheels: file name without suffix to SHA-256."""
    files = {f"wheels/{name}.whl": sha256 for name, sha256 in wheels.items()}
    return Manifest(
        module="function.py",
        attribute="f",
        spec=FunctionSpec(name="f", requirements=("scipy",)),
        schema=FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=()),
        variants=(as_given({}),),
        environment=Environment(lock=LOCK, python=python, wheels=tuple(files)),
        files=tuple(BundleFile(path, 1, sha256) for path, sha256 in files.items()),
    )


PURE = {"pure-1.0-py3-none-any": HERE}


@pytest.mark.parametrize(
    "wheels",
    [
        {},
        {**PURE, "scipy-1.16.0-cp311-cp311-manylinux_2_28_aarch64": OTHER},
        {
            **PURE,
            "scipy-1.16.0-cp311-cp311-manylinux_2_28_x86_64": HERE,
            "scipy-1.16.0-cp311-cp311-manylinux_2_17_aarch64.manylinux_2_28_aarch64": OTHER,
        },
    ],
)
def test_an_environment_fits(wheels: dict[str, str]) -> None:
    """If each wheel that is needed here is there, or none is and the index has them."""
    check_environment(manifest(**wheels), BOX)


@pytest.mark.parametrize(
    ("wheels", "reason"),
    [
        (
            {**PURE, "scipy-1.16.0-cp311-cp311-manylinux_2_28_x86_64": HERE},
            r"^scipy 1\.16\.0 has no wheel for linux_aarch64, Python 3\.11 in the bundle \(only "
            r"for manylinux_2_28_x86_64\); build with --vendor on a machine like this box",
        ),
        (
            {**PURE, "scipy-1.15.0-cp311-cp311-manylinux_2_28_aarch64": HERE},
            r"^scipy 1\.16\.0 has no wheel for linux_aarch64, Python 3\.11 in the bundle; build",
        ),
        (
            {"scipy-1.16.0-cp312-cp312-manylinux_2_28_aarch64": HERE},
            r"^pure 1\.0 has no wheel .*; scipy 1\.16\.0 has no wheel",
        ),
        (
            {**PURE, "scipy-1.16.0-cp311-cp311-manylinux_2_28_aarch64": "c" * 64},
            r"^the wheel of scipy 1\.16\.0 in the bundle is not the one that its lock names",
        ),
        ({"nonsense": HERE}, "is not the name of a wheel"),
    ],
)
def test_a_wheel_that_cannot_serve_here_is_named(wheels: dict[str, str], reason: str) -> None:
    """Before anything is installed."""
    with pytest.raises(DeploymentFailed, match=reason):
        check_environment(manifest(**wheels), BOX)


def test_another_python_is_refused() -> None:
    """What was resolved for one version of Python is not what another would need."""
    with pytest.raises(
        DeploymentFailed, match=r"locked for Python 3\.12, and this box runs .*3\.1"
    ):
        check_environment(manifest("3.12"), BOX)


def test_only_its_record_vouches_for_an_environment(tmp_path: Path) -> None:
    """One that was interrupted, or made by a box with another Python, is not there."""
    environments = Environments(tmp_path)
    environment = Environment(lock=LOCK, python="3.11")
    folder = tmp_path / environment.digest()
    assert not environments.is_installed(environment)
    folder.mkdir()
    assert not environments.is_installed(environment)
    (folder / RECORD_FILE).write_text(record())
    assert environments.is_installed(environment)
    (folder / RECORD_FILE).write_text(record().replace("base", "other"))
    assert not environments.is_installed(environment)


def test_environments_that_nobody_needs_are_removed(tmp_path: Path) -> None:
    """Whether they were ever finished or not."""
    Environments(tmp_path / "none").keep(set())
    for name in ("kept", "old"):
        (tmp_path / name / "lib").mkdir(parents=True)
    Environments(tmp_path).keep({"kept", "missing"})
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_the_self_check_names_what_is_wrong() -> None:
    """Versions and imports; the first import that fails is enough."""
    assert problems(["json", "msgspec"], []) == []
    found = problems(["json", "no_such_module", "nor_this"], ["no-such-distribution==1.0"])
    assert found == [
        "no-such-distribution 1.0 should be there, and nothing is",
        "no_such_module, which every replica needs, does not work with it: ModuleNotFoundError: "
        "No module named 'no_such_module'",
    ]
