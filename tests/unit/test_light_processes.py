"""What the processes of a box do not import: on a small box, each library is memory."""

import subprocess
import sys

import pytest

EVERYWHERE = {
    "hypothesis", "matplotlib", "onnx", "opentelemetry", "pandas", "pygments", "pytest", "ray",
    "rich", "scipy", "skl2onnx", "sklearn", "torch", "typer", "watchfiles",
}  # fmt: skip
ENGINES = {"PIL", "ai_edge_litert", "onnxruntime", "pydantic"}

PROCESSES = {
    "box": ("import edgefn.cli.box_process", ENGINES | {"aiohttp"}),
    "gateway": (
        "import edgefn.gateway.__main__",
        ENGINES | {"numpy", "packaging", "prometheus_client", "urllib3"},
    ),
    "replica": (
        "import edgefn_runtime.forkserver as it; it._preload(it.PRELOAD)",
        {"aiohttp", "cryptography", "prometheus_client", "urllib3"},
    ),
}


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_of_a_box_imports_only_what_it_needs(process):
    """Not the libraries of the other processes, of the command line, of extras, or of Ray."""
    imports, unwanted = PROCESSES[process]
    show = "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-P", "-c", imports + show], check=True, capture_output=True, text=True
    )
    imported = set(done.stdout.split())
    assert {"edgefn", "edgefn_runtime"} <= imported
    assert not imported & (EVERYWHERE | unwanted)
