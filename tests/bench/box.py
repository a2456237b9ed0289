"""Starts what is measured, each in a process of its own, and ends it."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from edgefn.access.orders import NewToken
from edgefn.bundle.build import build
from edgefn.client.admin import AdminClient

HUB: Final = ("--hub", "--listen", "127.0.0.1:0", "--name", "hub", "--tier", "cloud")


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
def running_box(
    *options: str, python: str = sys.executable, **environ: str
) -> Iterator[AdminClient]:
    """Starts a box on a free port with a state directory of its own.

    Args:
        options: Further ones of `edgefn up`.
        python: Interpreter of the environment that edgefn is installed in.
        environ: Further variables of its environment.
    """
    with tempfile.TemporaryDirectory(prefix="edgefn-bench-") as state:
        edgefn, common = [python, "-P", "-m", "edgefn"], ["--state-dir", state]
        up = subprocess.run(
            [*edgefn, "up", "--port", "0", *common, *options, "--detach", "--json"],
            env={**os.environ, **environ}, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            with AdminClient(json.loads(up.stdout)["url"]) as admin:
                yield admin
        finally:
            subprocess.run([*edgefn, "down", *common], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def joined_box(
    hub: AdminClient, *options: str, python: str = sys.executable, **environ: str
) -> Iterator[AdminClient]:
    """Starts a box that joins the fleet of a hub, and yields it once they are linked.

    Args:
        hub: Of a box that was started with `HUB`.
        options: Further ones of `edgefn up`.
        python: Interpreter of the environment that edgefn is installed in.
        environ: Further variables of its environment.
    """
    token = hub.make_join_token(NewToken()).text
    url = hub.status().secure_url
    options = ("--join", url, "--name", "joined", *options)
    with running_box(*options, python=python, EDGEFN_JOIN_TOKEN=token, **environ) as admin:
        _until("the hub is linked", lambda: any(place.up for place in admin.status().places))
        yield admin


def deploy_to_fleet(hub: AdminClient, box: AdminClient, folder: Path, **replacements: str) -> None:
    """Deploys a copy of a function's folder at the hub, and returns when the box serves it.

    Raises:
        TimeoutError: It does not come.
    """
    deploy(hub, folder, **replacements)
    _until(
        f"the joined box serves {folder.name}",
        lambda: any(one.name == folder.name and one.replicas for one in box.functions()),
    )


def wait_for_lease(box: AdminClient, name: str) -> None:
    """Returns when Ray Serve holds a replica of a function.

    Raises:
        TimeoutError: It does not come to it.
    """
    _until(
        f"Ray holds a replica of {name}",
        lambda: any(variant.leases for variant in box.function(name).variants),
    )


def _until(what: str, holds: Callable[[], bool], within_s: float = 120.0) -> None:
    end_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end_s:
            raise TimeoutError(f"not within {within_s:g} s: {what}")
        time.sleep(0.1)


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
