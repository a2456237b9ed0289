"""ONNX models as ONNX Runtime prepares them for one machine, their weights mapped from a file.

To load one is to read a small graph: it is optimised already, and the weights, in the layout that
the kernels want, are pages of a file that all replicas of a machine share. A model that is loaded
as it was built takes two to five times as long, and keeps every weight two or three times in
memory of its own.
"""

import hashlib
import io
import mmap
import os
from pathlib import Path
from typing import Final

from edgefn_runtime.backends.onnx import OnnxModel, engine, open_session, session_options
from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.optimised import GRAPH_FILE, WEIGHTS_FILE, OptimisedForm, Record

_TAKES_WEIGHTS: Final = "add_external_initializers_from_files_in_memory"
_LEAST_WEIGHT_BYTES: Final = 1024  # smaller ones stay in the graph
# Beside the graph's path, what ONNX Runtime needs to be told to write the two files.
_SAVE: Final = {
    "session.optimized_model_external_initializers_file_name": WEIGHTS_FILE,
    "session.optimized_model_external_initializers_min_size_in_bytes": str(_LEAST_WEIGHT_BYTES),
}


def write_optimised(data: bytes, file_name: str, folder: Path) -> OptimisedForm:
    """Writes the optimised form of a model into an empty folder.

    Raises:
        LoadFailed: The model cannot be loaded, or has no weights to speak of.
        OSError: The disk is full or fails.
    """
    onnxruntime = engine(file_name)
    if not hasattr(onnxruntime.SessionOptions, _TAKES_WEIGHTS):
        raise LoadFailed(
            f"{file_name}: ONNX Runtime {onnxruntime.__version__} is too old to share weights"
        )
    options = session_options(onnxruntime)
    options.optimized_model_filepath = str(folder / GRAPH_FILE)
    for key, value in _SAVE.items():
        options.add_session_config_entry(key, value)
    open_session(onnxruntime, data, options, file_name)
    if not (folder / WEIGHTS_FILE).is_file():
        raise LoadFailed(f"{file_name}: ONNX Runtime keeps no weights of it apart")
    return OptimisedForm(
        folder=str(folder), engine=onnxruntime.__version__, record=Record.of(folder)
    )


def load_optimised(form: OptimisedForm, file_name: str) -> OnnxModel:
    """Loads an optimised form: from the very bytes whose digests it checks, and nothing else.

    Raises:
        LoadFailed: A file is missing or was changed, or another engine made it.
    """
    version = engine(file_name).__version__
    if version != form.engine:
        raise LoadFailed(
            f"{file_name}: its optimised form is of ONNX Runtime {form.engine}, this is {version}"
        )
    folder = Path(form.folder)
    try:
        with _opened(folder / GRAPH_FILE) as file:
            graph = file.read()
        with _opened(folder / WEIGHTS_FILE) as file:
            # Read before it is mapped: where the disk fails, that is an error, and not a SIGBUS.
            weights_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            weights = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # the latter if there is nothing to map
        raise LoadFailed(f"{file_name}: its optimised form cannot be read: {error}") from error
    found = Record(graph_sha256=hashlib.sha256(graph).hexdigest(), weights_sha256=weights_sha256)
    if found != form.record:
        raise LoadFailed(
            f"{file_name}: its optimised form in {folder} was changed since it was made"
        )
    return OnnxModel(graph, file_name, weights)


def _opened(path: Path) -> io.BufferedReader:
    return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
