"""A real bundle with single bits flipped: none of them is one any more."""

import random
from pathlib import Path

import pytest

from edgefn.bundle.build import build
from edgefn.bundle.file import InvalidBundle, read_bundle, write_bundle
from edgefn.bundle.signing import BadSignature
from edgefn_runtime.manifest import InvalidManifest

FLIPS = 10_000
CODE = """
from edgefn import Model, edge_function

@edge_function(model="m.onnx")
def flipped(x: float, model: Model) -> float:
    return x
"""


@pytest.fixture(scope="module")
def real_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A function as a file, small so that ten thousand readings of it take seconds."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "function.py").write_text(CODE)
    (folder / "m.onnx").write_bytes(random.Random(1).randbytes(5000))
    (bundle,) = build(str(folder))
    path = folder / "flipped.edgefn"
    write_bundle(bundle, path)
    return path


def test_no_flipped_bit_is_accepted(real_bundle: Path) -> None:
    """Half of them in the head, where the lengths, the manifest and the signature are."""
    data = real_bundle.read_bytes()
    whole = read_bundle(real_bundle)
    head_bytes = len(data) - sum(content.size for content in whole.files.values())
    chance = random.Random(20)
    accepted = []
    with real_bundle.open("r+b", buffering=0) as file:
        for number in range(FLIPS):
            position = chance.randrange(head_bytes if number % 2 else len(data))
            flipped = data[position] ^ 1 << chance.randrange(8)
            file.seek(position)
            file.write(bytes([flipped]))
            try:
                read_bundle(real_bundle)
            except (InvalidBundle, InvalidManifest, BadSignature):
                pass
            else:
                accepted.append((position, flipped))
            file.seek(position)
            file.write(data[position : position + 1])
    assert accepted == []
    assert read_bundle(real_bundle).manifest == whole.manifest
