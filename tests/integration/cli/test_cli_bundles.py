"""Bundle files and what a build left, from the command line, on a real box."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgefn.bundle.build import build
from edgefn.bundle.file import write_bundle

Command = Callable[..., "subprocess.CompletedProcess[str]"]

CODE = """
from edgefn import Model, edge_function

@edge_function(model="m.onnx")
def filed(x: int, model: Model) -> int:
    return x
"""


def test_a_bundle_file_is_deployed(edgefn: Command, shared_box: Any, tmp_path: Path) -> None:
    """As it was signed; one that was damaged is refused before the box is asked."""
    (tmp_path / "plain.py").write_text(
        "from edgefn import edge_function\n@edge_function\ndef plain(x: int) -> int: return x\n"
    )
    (bundle,) = build(str(tmp_path / "plain.py"))
    write_bundle(bundle, tmp_path / "plain.edgefn")
    box = {"EDGEFN_URL": shared_box.url}
    deployed = edgefn("deploy", "plain.edgefn", "--json", env=box).stdout
    (one,) = json.loads(deployed)["deployed"]
    assert one["function"]["digest"] == bundle.manifest.digest()
    data = (tmp_path / "plain.edgefn").read_bytes()
    (tmp_path / "plain.edgefn").write_bytes(data[:-1])
    assert "is truncated" in edgefn("deploy", "plain.edgefn", env=box, code=1).stderr


def test_a_model_that_changed_since_the_build_is_noted(
    edgefn: Command, shared_box: Any, tmp_path: Path
) -> None:
    """On standard error, whatever becomes of the deployment."""
    folder = tmp_path / "filed"
    (folder / "variants").mkdir(parents=True)
    (folder / "function.py").write_text(CODE)
    (folder / "m.onnx").write_bytes(b"no model")
    variant = {"name": "onnx-fp16", "backend": "onnx", "models": {"model": "variants/m.onnx"}}
    function = {"given": {"model": "0" * 64}, "variants": [variant], "digests": {}}
    record = {"format": 1, "functions": {"filed": function}}
    (folder / "variants/variants.json").write_text(json.dumps(record))
    shown = edgefn("deploy", "filed", code=1, env={"EDGEFN_URL": shared_box.url}).stderr
    assert "filed: its variants were made from another m.onnx; run `edgefn build " in shown
