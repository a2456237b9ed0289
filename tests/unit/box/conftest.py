"""What the tests of the box's pure parts share."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgefn.box.replica import Replica, ReplicaState
from edgefn.box.revision import Revision
from edgefn_runtime.manifest import BundleFile, FunctionSchema, FunctionSpec, Manifest
from edgefn_runtime.variant import Variant, as_given

SCHEMA = FunctionSchema(input={"type": "object"}, output={}, v2_inputs=(), v2_outputs=())


@pytest.fixture
def make_revision() -> Callable[..., Revision]:
    """Makes a revision of a function without any file behind it."""

    def make(
        name: str = "f",
        number: int = 1,
        *,
        variants: tuple[Variant, ...] = (),
        refused: Mapping[str, str] | None = None,
        elsewhere: str = "",
        **spec: object,
    ) -> Revision:
        declared = FunctionSpec(name=name, **spec)  # type: ignore[arg-type]
        manifest = Manifest(
            module="function.py",
            attribute=name,
            spec=declared,
            schema=SCHEMA,
            variants=variants or (as_given(declared.models),),
            files=(BundleFile("function.py", 1, "a" * 64), BundleFile("m.onnx", 2, "b" * 64)),
        )
        return Revision(
            number=number,
            digest=manifest.digest(),
            manifest=manifest,
            root=Path("/nowhere"),
            refused=refused or {},
            elsewhere=elsewhere,
        )

    return make


@pytest.fixture
def make_replica() -> Callable[..., Replica]:
    """Makes a replica without a process."""
    numbers = iter(range(1, 10_000))

    def make(
        revision: Revision, state: ReplicaState = "starting", variant: str | None = None
    ) -> Replica:
        name = f"r{next(numbers)}"
        return Replica(
            id=name,
            revision=revision,
            variant=revision.manifest.variant(variant) if variant else revision.default,
            socket=f"/nowhere/{name}.sock",
            requested_s=0.0,
            started_at=datetime(2026, 1, 1, tzinfo=UTC),
            state=state,
        )

    return make
