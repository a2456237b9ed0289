"""Starts what is measured, each in a process of its own, and ends it."""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgefn.bundle.build import build
from edgefn.client.admin import AdminClient


@contextlib.contextmanager
def plain_server(folder: Path, kind: str) -> Iterator[str]:
    """Serves the function in plain aiohttp, and yields its URL."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("plain.py")), str(folder), kind],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(timeout=30)


@contextlib.contextmanager
def running_box() -> Iterator[AdminClient]:
    """Starts a box on a free port with a state directory of its own."""
    with tempfile.TemporaryDirectory(prefix="edgefn-bench-") as state:
        command = [sys.executable, "-m", "edgefn", "up", "--port", "0", "--state-dir", state]
        up = subprocess.run(
            [*command, "--detach", "--json"], check=True, stdout=subprocess.PIPE, text=True
        )
        try:
            yield AdminClient(json.loads(up.stdout)["url"])
        finally:
            subprocess.run(
                [sys.executable, "-m", "edgefn", "down", "--state-dir", state],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip


def deploy(admin: AdminClient, folder: Path, **replacements: str) -> None:
    """Deploys a copy of a function's folder, with changes in its text."""
    with tempfile.TemporaryDirectory(prefix="edgefn-bench-") as copy:
        target = Path(copy, folder.name)
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns("__pycache__"))
        source = target / "function.py"
        text = source.read_text()
        for old, new in replacements.items():
            assert old in text, f"{old!r} is not in {source.name}"
            text = text.replace(old, new)
        source.write_text(text)
        for bundle in build(str(target)):
            admin.deploy(bundle)
