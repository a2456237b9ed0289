"""Has the libraries do once, before the fork, what they do at their first use.

pydantic imports most of itself when the first type is made into a schema, ONNX Runtime sets itself
up with its first session, Pillow reads its plugins at the first image, LiteRT takes 17 ms to
import. Done in the forkserver, all replicas share it; left to them, it would be most of a start.
"""

import contextlib
import importlib
from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from edgefn_runtime.backends import load_model

# One Relu over float32[1]; opset 13, IR version 8.
_MODEL: Final = (
    b'\x08\x08\x12\x00:3\n\x0c\n\x01x\x12\x01y"\x04Relu\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01'
    b"\x12\x04\n\x02\x08\x01b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: str = Field(description="as functions write them")
    score: Annotated[float, Field(ge=0)]
    more: dict[str, list[int]] | None = None


def warm_up() -> None:
    """Uses each library once, as a function would."""
    answers = TypeAdapter(list[_Answer])
    answers.json_schema()
    answers.json_schema(mode="serialization")
    answers.dump_python(answers.validate_python([{"label": "a", "score": 1.0}]))
    load_model(_MODEL, "warm.onnx")(np.ones(1, np.float32))
    with contextlib.suppress(ImportError):  # an extra
        importlib.import_module("PIL.Image").preinit()
    with contextlib.suppress(ImportError):  # as well
        importlib.import_module("ai_edge_litert.interpreter")
