"""Compiled and interpreted code decide the same. To compile takes minutes: `make test-long`."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCENARIOS = ("scenario_a", "flash_crowd", "shop_floor")
UNITS = (
    "tests/unit/routing",
    "tests/unit/scaling",
    "tests/unit/simulate/engine",
    "tests/unit/runtime",
)
SIMULATE = """
import sys
from pathlib import Path

from msgspec.structs import replace

from edgefn.routing import router
from edgefn.simulate.engine import site
from edgefn.simulate.file import read_scenario
from edgefn.simulate.run import simulate
from edgefn_runtime import queue

print(*(Path(one.__file__).suffix for one in (router, site, queue)))
for name in sys.argv[1:]:
    scenario = replace(read_scenario(Path(name)), duration_s=8.0, warm_up_s=1.0)
    for load in (1.0, 2.5):
        print(name, simulate(scenario, seed=1, load=load).decisions)
"""

pytestmark = [
    pytest.mark.skipif("TEST_LONG" not in os.environ, reason="takes minutes"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="session")
def compiled() -> Iterator[Path]:
    """A folder with both packages compiled: made once for as long as nothing of it changes."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ROOT / ".venv" / "cache")) / "edgefn-compiled"
    folder = cache / _fingerprint()
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as made:
            subprocess.run([sys.executable, ROOT / "hatch_build.py", f"{made}/it"], check=True)
            for old in cache.iterdir():
                if old != Path(made):
                    shutil.rmtree(old)
            Path(made, "it").rename(folder)
    yield folder


def test_decisions_are_the_same_to_the_byte(compiled: Path) -> None:
    """Simulations with the production router, some under more load than there is room for."""
    files = [str(ROOT / "examples" / "scenarios" / f"{name}.toml") for name in SCENARIOS]
    command = [sys.executable, "-P", "-c", SIMULATE, *files]
    kind, *decisions = _output(command, f"{ROOT}:{ROOT}/runtime")
    compiled_kind, *compiled_decisions = _output(command, str(compiled))
    assert (kind, compiled_kind) == (".py .py .py", ".so .so .so")
    assert len(decisions) == 2 * len(SCENARIOS)
    assert compiled_decisions == decisions


def test_compiled_modules_pass_their_own_tests(compiled: Path) -> None:
    """All of them, with what was compiled in the place of what is tested otherwise."""
    pytest_here = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *UNITS]
    said = _output(pytest_here, str(compiled))
    assert " passed" in said[-1]
    assert "failed" not in said[-1]


def test_the_version_says_so(compiled: Path) -> None:
    """Whoever measures must know what."""
    version = [sys.executable, "-P", "-m", "edgefn", "--version"]
    (interpreted,) = _output(version, f"{ROOT}:{ROOT}/runtime")
    assert _output(version, str(compiled)) == [f"{interpreted} (compiled)"]


def _output(command: list[str], path: str) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.splitlines()


def _fingerprint() -> str:
    digest = sha256(sys.version.encode())
    sources = [ROOT / "hatch_build.py", ROOT / "pyproject.toml", ROOT / "requirements" / "dev.lock"]
    for folder in (ROOT / "edgefn", ROOT / "runtime"):
        sources += sorted(folder.rglob("*.py"))
    for path in sources:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]
