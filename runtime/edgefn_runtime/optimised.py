"""The optimised form of a model: what a box keeps of it, and tells its replicas."""

import hashlib
from pathlib import Path
from typing import Final, Self

import msgspec

GRAPH_FILE: Final = "graph.onnx"
WEIGHTS_FILE: Final = "weights.bin"
RECORD_FILE: Final = "record.json"
# Whatever else the files depend on, beside the model, the engine and the processor. Another text
# has them made again.
MADE_WITH: Final = "1: ORT_ENABLE_ALL, 1 thread, weights from 1024 bytes"


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What vouches for the two files of a form, written last."""

    graph_sha256: str
    weights_sha256: str

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Returns the record of the files as they are. Blocks for some ms.

        Raises:
            OSError: One is missing, or the disk fails.
        """
        return cls(
            graph_sha256=_digest(folder / GRAPH_FILE), weights_sha256=_digest(folder / WEIGHTS_FILE)
        )


class OptimisedForm(msgspec.Struct, frozen=True, kw_only=True):
    """An ONNX model as its engine prepared it for this machine; without it all works the same.

    Attributes:
        folder: Of the graph and its weights.
        engine: The version of ONNX Runtime that made it; no other may load it.
        record: Their digests.
    """

    folder: str
    engine: str
    record: Record


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
