"""Measures what edgefn takes of a small box: of its disk, and of its memory while it idles.

    python tests/bench/footprint.py [--quick]

Makes the wheel, installs it alone into a fresh virtual environment, and starts boxes from there:
one alone, and one that joined a hub, so with a link and TLS. Each has one function,
`functions/diagnosis`, with one replica, that answered some calls and is then left in peace.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from box import HUB, deploy, deploy_to_fleet, joined_box, running_box
from footprint_chart import draw
from processes import memory_of_box
from rich.console import Console
from rich.table import Table
from run import machine, sample

from edgefn import Client
from edgefn.client.admin import AdminClient

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "functions" / "diagnosis"
RESULTS: Final = Path(__file__).with_name("results")
CALLS: Final = 20
WANTED: Final = {"installed": 200.0, "private memory": 150.0}
# Run in the fresh environment: bytes of code and data, and of bytecode, by distribution.
_SIZES: Final = """
import importlib.metadata, json, os
found = {}
for one in importlib.metadata.distributions():
    sizes = found.setdefault(one.name, [0, 0, one.version])
    for file in one.files or ():
        path = file.locate()
        if os.path.isfile(path):
            sizes[path.suffix == ".pyc"] += os.path.getsize(path)
print(json.dumps(found))
"""


def install(folder: Path) -> Path:
    """Installs the wheel of this checkout alone, and returns the interpreter of the environment."""
    pip = ["-m", "pip", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, *pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w",
         str(folder), str(ROOT)], check=True,
    )  # fmt: skip
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    subprocess.run([str(python), *pip, "install", "-q", str(wheel)], check=True)
    return python


def installed(python: Path) -> list[dict[str, Any]]:
    """Returns what is installed, the largest first; not what every environment starts with."""
    done = subprocess.run(
        [str(python), "-P", "-c", _SIZES], check=True, stdout=subprocess.PIPE, text=True
    )
    rows = [
        {"package": name, "version": version, "files_mb": files / 1e6, "bytecode_mb": code / 1e6}
        for name, (files, code, version) in json.loads(done.stdout).items()
        if name not in ("pip", "setuptools")
    ]
    return sorted(rows, key=lambda row: -row["files_mb"])


def idle(box: AdminClient, rest_s: float) -> list[dict[str, Any]]:
    """Calls the function some times, leaves the box in peace, and returns its memory."""
    with Client(box.url) as client:
        for _ in range(CALLS):
            client.call("diagnosis", features=sample())
    time.sleep(rest_s)
    return [asdict(one) for one in memory_of_box(box.status().pid)]


def boxes(python: Path, rest_s: float) -> dict[str, list[dict[str, Any]]]:
    """Returns the memory of each process of each box."""
    found = {}
    installed_one = {"python": str(python), "PYTHONPATH": ""}
    with running_box(**installed_one) as alone:
        deploy(alone, FOLDER)
        found["alone"] = idle(alone, rest_s)
    # The hub is from elsewhere, so as not to share the pages of files.
    with running_box(*HUB) as hub, joined_box(hub, **installed_one) as joined:
        deploy_to_fleet(hub, joined, FOLDER)
        found["joined"] = idle(joined, rest_s)
    return found


def bars(report: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Returns what is wanted of what was measured: name, measured, at most, in MB."""
    packages = report["installed"]
    files = sum(row["files_mb"] for row in packages)
    code = sum(row["bytecode_mb"] for row in packages)
    limit = WANTED["installed"]
    found = [("installed", files, limit), ("installed, and its bytecode", files + code, limit)]
    for name, processes in report["boxes"].items():
        private_mb, own_mb = (
            sum(process[key] for process in processes) for key in ("private_mb", "own_mb")
        )
        limit = WANTED["private memory"]
        found.append((f"private memory of its processes, {name}", private_mb, limit))
        found.append((f"with what they share among them, {name}", own_mb, limit))
    return found


def show(report: dict[str, Any]) -> None:
    """Prints the report as tables."""
    console = Console()
    sizes = Table("package", "version", "MB", "bytecode MB")
    for row in report["installed"]:
        if row["files_mb"] >= 1:
            megabytes = (f"{row[key]:.1f}" for key in ("files_mb", "bytecode_mb"))
            sizes.add_row(row["package"], row["version"], *megabytes)
    console.print(sizes)
    memory = Table("box", "process", "private MB", "own MB", "resident MB")
    for box, processes in report["boxes"].items():
        for one in processes:
            megabytes = (f"{one[key]:.1f}" for key in ("private_mb", "own_mb", "resident_mb"))
            memory.add_row(box, one["role"], *megabytes)
    console.print(memory)
    wanted = Table("bar", "measured", "at most", "")
    for name, measured, limit in report["bars"]:
        verdict = "[green]met" if measured <= limit else "[red]missed"
        wanted.add_row(name, f"{measured:.1f} MB", f"{limit:g} MB", verdict)
    console.print(wanted)


def main() -> int:
    """Measures, prints it, and writes it as JSON and as a picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="for a first look: writes nothing")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory(prefix="edgefn-bench-") as folder:
        python = install(Path(folder))
        report: dict[str, Any] = {
            "machine": machine(),
            "installed": installed(python),
            "boxes": boxes(python, 2.0 if quick else 20.0),
        }
    report["bars"] = bars(report)
    show(report)
    if not quick:
        (RESULTS / "footprint.json").write_text(json.dumps(report, indent=2) + "\n")
        draw(report, RESULTS / "footprint.png")
        print(f"written to {RESULTS / 'footprint.json'} and footprint.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
