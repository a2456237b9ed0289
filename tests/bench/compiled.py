"""Compiles the modules that decide, queue and simulate: `python tests/bench/compiled.py FOLDER`.

Copies both packages to FOLDER and compiles there, with mypyc, what a simulation spends its time
with. The code is the same, and so is each result to the byte; a run takes a quarter of the time.

    PYTHONPATH=FOLDER python -m edgefn simulate SCENARIO

Takes a C compiler, setuptools, and a minute or two.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "edgefn", ROOT / "runtime" / "edgefn_runtime")
HOT = (
    "edgefn/routing/*.py",
    "edgefn/simulate/engine/*.py",
    "edgefn/simulate/network.py",
    "edgefn/simulate/spells.py",
    "edgefn_runtime/queue.py",
    "edgefn_runtime/service_time.py",
)
RARE = {"__init__", "explain", "fleet", "scaling", "simulation", "table", "truth"}
INTERPRETED = ("import msgspec", "runtime_checkable")  # what mypyc does not compile
SETUP = """
import sys
from mypyc.build import mypycify
from setuptools import setup

flags = ["--explicit-package-bases", "--ignore-missing-imports", "--follow-imports=silent"]
setup(
    name="compiled",
    packages=[],
    py_modules=[],
    ext_modules=mypycify([*flags, *sys.argv[1:]], opt_level="3"),
    script_args=["build_ext", "--inplace"],
)
"""


def compile_to(folder: Path) -> None:
    """Fills a folder, which must be empty or absent.

    Raises:
        SystemExit: Something does not compile; what the compiler said is the message.
    """
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(package, folder / package.name, ignore=ignored)
    found = [path for pattern in HOT for path in sorted(folder.glob(pattern))]
    hot = [path for path in found if path.stem not in RARE and _compiles(path)]
    names = [str(path.relative_to(folder)) for path in hot]
    done = subprocess.run(
        [sys.executable, "-c", SETUP, *names], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"mypyc failed on {folder}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _compiles(path: Path) -> bool:
    text = path.read_text()
    return not any(word in text for word in INTERPRETED)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    compile_to(Path(sys.argv[1]))
