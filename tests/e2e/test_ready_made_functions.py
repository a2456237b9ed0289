"""The three functions on their real samples, through everything."""

import json
from pathlib import Path

import pytest

from edgefn import Answer, Client

SAMPLES = sorted(
    path
    for path in (Path(__file__).resolve().parents[2] / "functions").glob("*/samples/*")
    if path.suffix in (".json", ".wav")
)


def call(client: Client, sample: Path) -> Answer:
    name = sample.parents[1].name
    # A minute, not the function's own deadline: how fast this machine is now is not the question.
    if sample.suffix == ".wav":
        return client.call(name, file=sample, deadline_ms=60_000)
    return client.call(name, json.loads(sample.read_text()), deadline_ms=60_000)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_each_sample_is_answered_with_its_label(url: str, sample: Path) -> None:
    """A sample's file name is its truth."""
    truth = sample.stem.rpartition("-")[0]
    with Client(url) as client:
        answer = call(client, sample)
    label = answer.value["word"] if "word" in answer.value else answer.value["label"]
    assert label == truth
    assert answer.sla == "met"
    assert answer.variant.startswith(("onnx-", "litert-"))  # one that was built and measured


def test_there_are_samples_of_each(url: str) -> None:
    """The test above has something to do for each function."""
    assert {sample.parents[1].name for sample in SAMPLES} == {"diagnosis", "monitoring", "voice"}
    assert len(SAMPLES) >= 12


def test_encodings_agree(url: str, functions: Path) -> None:
    """JSON and msgpack give the same answer."""
    sample = sorted((functions / "diagnosis" / "samples").glob("*.json"))[0]
    inputs = json.loads(sample.read_text())
    with Client(url) as client:
        answers = [
            client.call("diagnosis", inputs, deadline_ms=60_000, encoding=encoding).value
            for encoding in ("json", "msgpack")
        ]
    assert answers[0] == answers[1]
