"""Functions that need what the box has not: resolved, installed and served, without a network.

The index is a folder of tiny wheels, which pip and uv are told of as any user would tell them.
"""

import base64
import hashlib
import os
import shutil
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgefn.bundle.build import Bundle, build
from edgefn.bundle.environment import LOCK_FILE, environment_of
from edgefn.bundle.gather import BuildFailed
from edgefn.bundle.installer import PYTHON
from edgefn.bundle.lock_file import Wanted, write_locks
from edgefn.errors import DeploymentFailed

INSTALLED_S = 100.0  # on a machine with much else to do
Eventually = Callable[..., Any]

CODE = """
from edgefn import edge_function

@edge_function(name={name!r}, requirements=[{requirement!r}])
def function(x: int) -> str:
    import dependency
    return dependency.VERSION + {suffix!r}
"""


class Index:
    """A folder of wheels. Each has a module `dependency` that says its version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, version: str, *, tag: str = "py3-none-any", requires: str = "") -> str:
        """Adds a wheel and returns its SHA-256."""
        info = f"dependency-{version}.dist-info"
        needs = f"Requires-Dist: {requires}\n" if requires else ""
        files = {
            "dependency.py": f"VERSION = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: dependency\nVersion: {version}\n"
            + needs,
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        }
        lines = [f"{name},{_record_hash(text)},{len(text)}\n" for name, text in files.items()]
        files[f"{info}/RECORD"] = "".join(lines) + f"{info}/RECORD,,\n"
        path = self.path(version, tag)
        with zipfile.ZipFile(path, "w") as wheel:
            for name, text in files.items():
                wheel.writestr(zipfile.ZipInfo(name), text)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def path(self, version: str, tag: str = "py3-none-any") -> Path:
        """Returns where a wheel is, or would be."""
        return self.folder / f"dependency-{version}-{tag}.whl"


def _record_hash(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"


@pytest.fixture(scope="module", autouse=True)
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """The index of all boxes and builds of this module; what they cache is theirs, too."""
    folder = tmp_path_factory.mktemp("index")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        for tool in ("PIP", "UV"):
            patch.setenv(f"{tool}_NO_INDEX", "1")
            patch.setenv(f"{tool}_FIND_LINKS", str(folder))
        yield Index(folder)


@pytest.fixture
def bundle_of(tmp_path: Path) -> Callable[..., Bundle]:
    """Builds a function that answers with the version of its one dependency.

    It needs one version, whose lock is in its folder.
    """

    def make(name: str, version: str, sha256: str, *, suffix: str = "", **options: Any) -> Bundle:
        folder = tmp_path / f"{name}-{version}{suffix}"
        folder.mkdir()
        requirement = f"dependency=={version}"
        code = CODE.format(name=name, requirement=requirement, suffix=suffix)
        (folder / "function.py").write_text(code)
        lock = f"{requirement} --hash=sha256:{sha256}\n"
        write_locks(folder / LOCK_FILE, {Wanted(PYTHON, (requirement,)): lock})
        (bundle,) = build(str(folder), **options)
        return bundle

    return make


def command_of(pid: int) -> str:
    """Returns the command line of a process; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_each_function_has_its_own_version(
    shared_box: Any, index: Index, bundle_of: Callable[..., Bundle], eventually: Eventually
) -> None:
    """Of one package, side by side, from the index or out of the bundle; one falls alone."""
    old = bundle_of("old", "1.0", index.add("1.0"))
    new = bundle_of("new", "2.0", index.add("2.0"), vendor=True)
    assert new.manifest.environment is not None
    assert new.manifest.environment.wheels == ("wheels/dependency-2.0-py3-none-any.whl",)
    index.path("2.0").unlink()
    for bundle in (old, new):
        shared_box.admin.deploy(bundle)
    assert [shared_box.call(name, x=1).json() for name in ("old", "new")] == ["1.0", "2.0"]

    other = shared_box.replicas("old")[0].pid
    lost = shared_box.replicas("new")[0].pid
    parent = int(Path(f"/proc/{lost}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    pids = eventually(
        lambda: {one.pid for one in shared_box.replicas("new")} - {lost}, within_s=INSTALLED_S
    )
    assert len(pids) == 1
    assert shared_box.call("new", x=1).json() == "2.0"
    assert shared_box.replicas("old")[0].pid == other

    # The same lock under another name: nothing to install, and the same forkserver.
    shared_box.admin.deploy(bundle_of("again", "1.0", index.add("1.0")))
    assert shared_box.call("again", x=1).json() == "1.0"
    shared_box.admin.remove("again")
    shared_box.admin.remove("old")
    digest = old.manifest.environment.digest() if old.manifest.environment else ""
    eventually(
        lambda: not any(digest in command_of(pid) for pid in shared_box.processes()),
        within_s=INSTALLED_S,
    )
    assert shared_box.call("new", x=1).json() == "2.0"


def test_what_cannot_be_installed_leaves_the_old_revision(
    shared_box: Any, index: Index, bundle_of: Callable[..., Bundle]
) -> None:
    """A wheel with other bytes than the lock's, and one for another machine only, are named."""
    shared_box.admin.deploy(bundle_of("steady", "1.0", index.add("1.0")))
    index.add("3.1")
    foreign = index.add("3.2", tag="cp311-cp311-manylinux_2_28_riscv64")
    reasons = []
    for version, sha256 in (("3.1", "0" * 64), ("3.2", foreign)):
        with pytest.raises(DeploymentFailed) as caught:
            shared_box.admin.deploy(bundle_of("steady", version, sha256))
        reasons.append(caught.value.message)
        assert caught.value.detail["log"]
    assert "dependency==3.1 has another SHA-256 than the lock says" in reasons[0]
    assert "dependency 3.2 has no wheel for linux_" in reasons[1]
    assert shared_box.call("steady", x=1).json() == "1.0"
    failed = [row.reason for row in shared_box.admin.history("steady") if row.state == "failed"]
    assert failed == reasons[::-1]


def test_an_interrupted_installation_is_made_again(
    start_box: Callable[..., Any],
    index: Index,
    bundle_of: Callable[..., Bundle],
    eventually: Eventually,
) -> None:
    """Killed while it installs, the box installs again when it comes back, and serves."""
    bundle = bundle_of("back", "4.0", index.add("4.0"))
    box = start_box()
    box.admin.deploy(bundle)
    assert box.end() == 0
    (environment,) = (box.state_dir / "environments").iterdir()
    shutil.rmtree(environment)
    box = start_box()
    eventually(environment.exists, within_s=INSTALLED_S)
    box.end(signal.SIGKILL)
    box = start_box()
    eventually(lambda: box.call("back", x=1).status == 200, within_s=INSTALLED_S)
    assert box.call("back", x=1).json() == "4.0"


def test_requirements_are_resolved_once(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within what edgefn itself needs; the second time no index is asked."""
    index.add("5.0")
    newest = index.add("5.1")
    index.add("6.0", requires="packaging<1")
    found = environment_of(("dependency>=5,<6",), tmp_path)
    assert found is not None
    assert found.lock == f"dependency==5.1 \\\n    --hash=sha256:{newest}\n"
    with pytest.raises(BuildFailed, match="the requirements dependency==6.0: .*packaging"):
        environment_of(("dependency==6.0",), tmp_path)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    assert environment_of(("dependency<6,>=5",), tmp_path) == found
