"""Loads a function and its models from a bundle."""

import contextlib
import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from edgefn_runtime.backends import load_model
from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.lifecycle import ModelFile, ReplicaConfig
from edgefn_runtime.model import Model, ModelRunFailed
from edgefn_runtime.servable import Servable

MODULE_NAME: Final = "edgefn_function"


def import_file(path: Path) -> ModuleType:
    """Imports the declaring file, under the one name that it has in every process.

    Raises:
        LoadFailed: It is not a Python file.
        BaseException: Whatever the user's code raises, `SystemExit` included.
    """
    module_spec = importlib.util.spec_from_file_location(MODULE_NAME, path)
    if module_spec is None or module_spec.loader is None:
        raise LoadFailed(f"{path.name}: not a Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[MODULE_NAME] = module  # dataclasses and pydantic look their module up by name
    module_spec.loader.exec_module(module)
    return module


def load_function(config: ReplicaConfig) -> Servable:
    """Imports the declaring file and returns the declared function.

    Other files of the bundle are importable from then on.

    Raises:
        LoadFailed: The file declares no such function.
        BaseException: Whatever the user's code raises, `SystemExit` included.
    """
    sys.path.insert(0, config.root)
    module = import_file(Path(config.root, config.module))
    servable: Any = getattr(module, config.attribute, None)
    if not all(hasattr(servable, name) for name in ("spec", "signature", "prepare")):
        raise LoadFailed(
            f"{config.module} declares no edge function {config.attribute!r}; "
            "is it still decorated with @edge_function?"
        )
    found: Servable = servable
    return found


def load_models(config: ReplicaConfig) -> dict[str, Model]:
    """Loads all models of a function, each from the bytes whose digest was just checked.

    Raises:
        LoadFailed: A file is missing, has another digest, or is no model that runs here.
    """
    return {
        parameter: _load_model(Path(config.root), file) for parameter, file in config.models.items()
    }


def verified_bytes(root: Path, file: ModelFile) -> bytes:
    """Returns the bytes of a model.

    Raises:
        LoadFailed: The file is missing, or has another digest.
    """
    try:
        data = (root / file.path).read_bytes()
    except OSError as error:
        raise LoadFailed(f"{file.path}: cannot be read: {error.strerror}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise LoadFailed(
            f"{file.path}: its bytes have SHA-256 {found[:12]}..., the manifest says "
            f"{file.sha256[:12]}...; it was changed after it was verified. Deploy it again."
        )
    return data


def _load_model(root: Path, file: ModelFile) -> Model:
    model = _optimised(file) or load_model(verified_bytes(root, file), file.path)
    _warm_up(model)
    return model


def _optimised(file: ModelFile) -> Model | None:
    """Returns the model from its optimised form; None if there is none, or it does not do."""
    if file.optimised is None:
        return None
    from edgefn_runtime.backends.onnx_optimised import load_optimised

    try:
        return load_optimised(file.optimised, file.path)
    except LoadFailed as error:
        reason = f"{error.message}; {file.path} is loaded as it was built"
        print(f"edgefn: an optimised form is left alone: {reason}", file=sys.stderr)
        return None


def _warm_up(model: Model) -> None:
    """Runs a model once on zeros, so that its first call does not pay for its buffers.

    Only where that is known to be an input like any other: every dimension is fixed, but for a
    free first one.
    """
    zeros = []
    for info in model.inputs:
        if info.dtype == "object" or any(isinstance(size, str) for size in info.shape[1:]):
            return
        shape = [1 if isinstance(size, str) else size for size in info.shape]
        zeros.append(np.zeros(shape, info.dtype))
    with contextlib.suppress(ModelRunFailed):  # it may well refuse zeros, and is none the worse
        model.run(zeros)
