"""Manifests that say little."""

from collections.abc import Callable

import pytest

from edgefn_runtime.manifest import (
    BundleFile,
    FunctionSchema,
    FunctionSpec,
    Manifest,
)
from edgefn_runtime.variant import Variant


@pytest.fixture
def make_manifest() -> Callable[[FunctionSpec], Manifest]:
    """Makes the manifest of a function without models."""

    def make(spec: FunctionSpec) -> Manifest:
        return Manifest(
            module="function.py",
            attribute="watch",
            spec=spec,
            schema=FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=()),
            variants=(Variant(name="plain", models={}, backend="python"),),
            files=(BundleFile("function.py", 0, "0" * 64),),
        )

    return make
