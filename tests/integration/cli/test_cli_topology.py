"""`edgefn dev --topology` and `edgefn link`: several boxes on one machine."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgefn.client import Client

CODE = """
from edgefn import edge_function

@edge_function(tiers=("cloud", "edge"), deadline_ms=15_000)
def doubled(x: int) -> int:
    return 2 * x
"""
WITHIN_S = 60.0


def test_boxes_are_linked_and_their_links_change_while_they_serve(
    edgefn: Callable[..., Any],
    environment: dict[str, str],
    tmp_path: Path,
    eventually: Callable[..., Any],
) -> None:
    """From the start of two boxes to their end, with nothing left behind."""
    source = tmp_path / "doubled"
    source.mkdir()
    (source / "function.py").write_text(CODE)
    said = tmp_path / "said"
    ours = {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-P", "-m", "edgefn", "dev", str(source)]
    with said.open("w") as out:
        session = subprocess.Popen(
            [*command, "--topology", "edge:1,cloud:1", "--rtt", "20ms", "--jitter", "2ms"],
            stdout=out,
            stderr=out,
            env={**environment, **ours},
            start_new_session=True,
        )
    try:
        eventually(lambda: "watching" in said.read_text() or session.poll() is not None, WITHIN_S)
        lines = said.read_text().splitlines()
        rows = [line.split() for line in lines if "http://" in line and "curl" not in line]
        urls = {name: url for name, _, url in rows}
        assert urls.keys() == {"edge-1", "cloud-1"}, lines
        assert any("doubled revision 1 serves at cloud-1" in line for line in lines)
        (link,) = json.loads(edgefn("link", "ls", "--json", env=ours).stdout)["links"]
        assert (link["name"], link["conditions"]["rtt_s"]) == ("edge-1:cloud-1", 0.02)

        with Client(urls["edge-1"]) as client:
            eventually(lambda: client.call("doubled", x=2).box == "cloud-1")
            assert "cut" in edgefn("link", "cut", "cloud-1", env=ours).stdout
            edgefn("link", "restore", "edge-1:cloud-1", env=ours)
            changed = edgefn("link", "set", "cloud-1", "--rtt", "40ms", "--loss", "1%", env=ours)
            assert "40 ms" in changed.stdout and "1.0%" in changed.stdout
            (source / "function.py").write_text(CODE.replace("2 * x", "3 * x"))
            eventually(lambda: client.call("doubled", x=2).value == 6, WITHIN_S)
    finally:
        os.kill(session.pid, signal.SIGINT)
        status = session.wait(30)
    assert status == 0, said.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["doubled", "said"]


def test_what_cannot_be_is_said_in_a_sentence(edgefn: Callable[..., Any], tmp_path: Path) -> None:
    """Before anything is started."""
    ours = {"TMPDIR": str(tmp_path)}
    refused = edgefn("dev", ".", "--topology", "edge:0", code=2, env=ours)
    assert "--topology edge:0: 0 boxes of 'edge'" in refused.stderr
    refused = edgefn("dev", ".", "--rtt", "60", code=2, env=ours)
    assert "expected a time like 60ms" in refused.stderr
    refused = edgefn("link", "cut", "edge-1:cloud-1", code=2, env=ours)
    assert "edgefn dev --topology" in refused.stderr
