"""Builds the wheel; with EDGEFN_COMPILE=1, one that is compiled for this platform.

What decides, queues and simulates is pure and typed, and mypyc compiles it as it is: the same
decisions, to the bit, in a fraction of the time. So it does with what a replica does around a
function. Which modules is said in `pyproject.toml`. Their sources stay beside them, for tracebacks
and readers. An editable install is never compiled.

    python hatch_build.py FOLDER

fills a folder with both packages compiled, to be run with `PYTHONPATH=FOLDER`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
PACKAGES = ("edgefn", "runtime/edgefn_runtime")
SWITCH = "EDGEFN_COMPILE"
# As in `optional-dependencies.dev`; msgspec, since mypy reads the types of what is imported.
COMPILER = ["msgspec>=0.22", "mypy[mypyc]>=1.20", "setuptools>=77"]
# Where a multiplication and an addition are one instruction, C compilers fuse them and round once:
# then another machine, or the interpreter, would decide otherwise.
ROUND_AS_WRITTEN = "-ffp-contract=off"
# In a process of its own, for setuptools takes it for its own. Libraries are compiled side by side.
SETUP = """
import sys
from mypyc.build import mypycify
from setuptools import setup

groups = [(names.split(), name) for name, _, names in (one.partition("=") for one in sys.argv[1:])]
files = [file for names, _ in groups for file in names]
flags = ["--explicit-package-bases", "--ignore-missing-imports", "--follow-imports=silent"]
modules = mypycify([*flags, *files], opt_level="2", separate=groups)
script = ["build_ext", "--inplace", "--parallel=4"]
setup(name="compiled", packages=[], py_modules=[], ext_modules=modules, script_args=script)
"""


class CompiledWheel(BuildHookInterface[Any]):
    """Adds the compiled modules to a wheel, if that is asked for."""

    def dependencies(self) -> list[str]:
        """Returns what an isolated build needs for it."""
        return COMPILER if _is_wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the wheel is written."""
        if version == "editable" or not _is_wanted():
            return
        self._folder = tempfile.TemporaryDirectory(prefix="edgefn-compiled-")
        folder = Path(self._folder.name)
        compile_to(folder, self.config["libraries"], self.config["interpreted"])
        for path in sorted(folder.rglob("*.so")):
            build_data["force_include"][str(path)] = str(path.relative_to(folder))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called when the wheel is there."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def compile_to(
    folder: Path, libraries: Mapping[str, Sequence[str]], interpreted: Sequence[str]
) -> None:
    """Fills a folder, which must be empty or absent, with both packages, compiled.

    Args:
        folder: To be put on the path.
        libraries: By name, patterns of the modules that are compiled into each.
        interpreted: Patterns of those among them that stay as they are.

    Raises:
        SystemExit: Something does not compile; what the compiler said is the message.
    """
    for package in PACKAGES:
        source = ROOT / package
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(source, folder / source.name, ignore=ignored)
    left_out = set(_found(interpreted))
    groups = [
        f"{name}={' '.join(one for one in _found(patterns) if one not in left_out)}"
        for name, patterns in libraries.items()
    ]
    flags = f"{os.environ.get('CFLAGS', '')} {ROUND_AS_WRITTEN}"
    done = subprocess.run(
        [sys.executable, "-c", SETUP, *groups],
        cwd=folder,
        env={**os.environ, "CFLAGS": flags, "PYTHONPATH": "", "MYPY_CACHE_DIR": "build/mypy"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"mypyc failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    shutil.rmtree(folder / "build")


def _is_wanted() -> bool:
    return os.environ.get(SWITCH, "0") not in ("", "0")


def _found(patterns: Sequence[str]) -> list[str]:
    """Returns the modules that patterns name, relative to where their package is."""
    found: list[str] = []
    for pattern in patterns:
        paths = sorted(ROOT.glob(pattern))
        if not paths:
            raise SystemExit(f"no module is {pattern!r}, which pyproject.toml says to compile")
        found += [str(path.relative_to(ROOT)).removeprefix("runtime/") for path in paths]
    return found


def _main(folder: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    compile_to(Path(folder).absolute(), hook["libraries"], hook["interpreted"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    _main(sys.argv[1])
