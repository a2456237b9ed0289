"""`functions/diagnosis` as a Ray Serve deployment: the same code, model file and ONNX Runtime.

It does what a replica of edgefn does with the same body: decode msgpack, call the function, encode.
Calls that have arrived run as one batch, as with edgefn.
"""

from pathlib import Path

import msgspec
import numpy as np
from plain import load
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).resolve().parents[2] / "functions" / "diagnosis"


@serve.deployment(max_ongoing_requests=100, ray_actor_options={"num_cpus": 1})
class Diagnosis:
    """Answers bodies given over a handle, and requests of the proxy."""

    def __init__(self) -> None:
        self._function = load(FOLDER)

    async def __call__(self, request: Request) -> Response:
        """Answers a request of Serve's HTTP proxy."""
        return Response(await self.answer(await request.body()), media_type="application/msgpack")

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.0)
    async def answer(self, bodies: list[bytes]) -> list[bytes]:
        """Answers the bodies of calls."""
        tensors = [msgspec.msgpack.decode(body)["features"] for body in bodies]
        rows = [np.frombuffer(one["data"], one["dtype"]).reshape(one["shape"]) for one in tensors]
        return [msgspec.msgpack.encode(one.model_dump()) for one in self._function(rows)]


application = Diagnosis.bind()
