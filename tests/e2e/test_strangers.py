"""Clients that were not written for edgefn."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefn import Client


@pytest.fixture
def features(functions: Path) -> np.ndarray[Any, Any]:
    sample = sorted((functions / "diagnosis" / "samples").glob("malignant*.json"))[0]
    return np.array(json.loads(sample.read_text())["features"], "float32")


TRITON = """
import json, sys
import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient(sys.argv[1])
features = np.array(json.loads(sys.argv[2]), "float32")
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("diagnosis")
found = []
for binary in (True, False):
    tensor = triton.InferInput("features", [30], "FP32")
    tensor.set_data_from_numpy(features, binary_data=binary)
    wanted = [
        triton.InferRequestedOutput("probability", binary_data=binary),
        triton.InferRequestedOutput("label", binary_data=binary),
    ]
    result = client.infer("diagnosis", [tensor], outputs=wanted, request_id="7")
    assert result.get_response()["id"] == "7"
    label = result.as_numpy("label")[0]
    label = label.decode() if isinstance(label, bytes) else label
    found.append([label, float(result.as_numpy("probability")[0])])
try:
    tensor = triton.InferInput("features", [3], "FP32")
    tensor.set_data_from_numpy(features[:3])
    client.infer("diagnosis", [tensor])
except triton.InferenceServerException as error:
    refused = str(error)
metadata = client.get_model_metadata("diagnosis")
print(json.dumps({"found": found, "metadata": metadata, "refused": refused}))
"""


def test_tritonclient_finds_a_v2_server(url: str, features: np.ndarray[Any, Any]) -> None:
    """Health, metadata, inference in JSON and in binary, and a refusal, through its own package."""
    result = subprocess.run(  # gevent patches what it likes: not in this process
        [sys.executable, "-c", TRITON, url.removeprefix("http://"), json.dumps(features.tolist())],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    with Client(url) as client:
        answer = client.call("diagnosis", features=features, deadline_ms=60_000).value
    assert said["found"] == [["malignant", pytest.approx(answer["probability"])]] * 2
    assert said["metadata"]["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [30]}]
    assert "expected float32 [30], got float32 [3]" in said["refused"]


def test_schemathesis_finds_no_server_error(url: str, tmp_path: Path) -> None:
    """Calls made from the OpenAPI description, right and wrong ones, never end in a 5xx."""
    result = subprocess.run(
        [
            "schemathesis", "run", f"{url}/openapi.json", "--checks", "not_a_server_error",
            "--max-examples", "40", "--seed", "1", "--phases", "examples,coverage,fuzzing",
            "--suppress-health-check", "all", "--no-color", "-H", "Edgefn-Deadline-Ms: 60000",
        ],
        capture_output=True, text=True, timeout=110, check=False, cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


def test_curl_and_a_plain_library_will_do(url: str, functions: Path) -> None:
    """Nothing of ours is needed for a call: a WAV file and one header."""
    sound = next((functions / "voice" / "samples").glob("yes*.wav"))
    request = urllib.request.Request(
        f"{url}/v1/functions/voice",
        data=sound.read_bytes(),
        headers={"Content-Type": "audio/wav", "Edgefn-Deadline-Ms": "60000"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert json.load(reply)["word"] == "yes"
        assert reply.headers["Edgefn-Sla"] == "met"
        assert "compute;dur=" in reply.headers["Server-Timing"]
