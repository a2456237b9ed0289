"""Runs a bench once more, on a folder that `python hatch_build.py FOLDER` has filled."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def run_compiled(script: str, folder: Path) -> Any:
    """Returns what a script prints with `--json`, in a process of its own."""
    if not (folder / "edgefn").is_dir():
        raise SystemExit(f"there is nothing in {folder}; first: python hatch_build.py {folder}")
    done = subprocess.run(
        [sys.executable, "-P", script, "--json"],
        env={**os.environ, "PYTHONPATH": f"{folder.absolute()}:{Path(__file__).parent}"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)
