"""Exports a model that a file's callable returns, in a process of its own.

python -P -m edgefn.compress.exporter <descriptor of a socket>
"""

import os
import socket
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from edgefn.compress.child_process import ChildDied, ChildProcess, ChildSilent
from edgefn.compress.export import to_onnx
from edgefn.compress.export.failure import ExportFailed
from edgefn.compress.references import References
from edgefn.errors import EdgefnError
from edgefn_runtime.lifecycle import MessageReader, pack
from edgefn_runtime.loader import import_file
from edgefn_runtime.process import die_with
from edgefn_runtime.tracebacks import describe, traceback_of

_READ_BYTES: Final = 1 << 16
_TIMEOUT_S: Final = 1800.0  # loading a large model and tracing it


class Export(msgspec.Struct, frozen=True, kw_only=True, tag="export"):
    """Export a model.

    Attributes:
        file: That has the callables.
        model: Name of the one that returns the model.
        examples: Name of the one that returns an array an input, or one array for a single input.
        result: File to be written.
    """

    file: str
    model: str
    examples: str
    result: str


class Exported(msgspec.Struct, frozen=True, kw_only=True, tag="exported"):
    """The file is written, unless there is a reason why not; then with the user's traceback."""

    failure: str = ""
    traceback: str = ""


def export_model(file: Path, model: str, examples: str, result: Path) -> None:
    """Writes an ONNX file of a PyTorch module or scikit-learn estimator.

    Args:
        file: That has two callables without arguments.
        model: Name of the one that returns the model.
        examples: Name of the one that returns example inputs: an array, or a list or mapping of
            arrays, the first dimension the batch.
        result: Where to.

    Raises:
        ExportFailed: A callable fails, or what it returns cannot be exported.
    """
    child: ChildProcess[Exported] = ChildProcess("edgefn.compress.exporter", Exported)
    try:
        child.send(
            Export(file=str(file.resolve()), model=model, examples=examples, result=str(result))
        )
        found = child.receive(_TIMEOUT_S)
        log = child.log()
    except (ChildDied, ChildSilent) as error:
        raise ExportFailed(f"{file}: exporting {model}: {error}", log=child.log()) from error
    finally:
        child.close()
    if found.failure:
        raise ExportFailed(f"{file}: {found.failure}", traceback=found.traceback, log=log)


def answer(asked: Export) -> Exported:
    """Does what a message asks for."""
    file = Path(asked.file)
    sys.path.insert(0, str(file.parent))
    sys.dont_write_bytecode = True
    os.chdir(file.parent)
    try:
        references = References(import_file(file), file)
        model = references.find(f"{file.name}:{asked.model}", "model")()
        examples = references.find(f"{file.name}:{asked.examples}", "examples")()
        Path(asked.result).write_bytes(to_onnx(model, _arrays(examples)))
    except EdgefnError as error:
        return Exported(failure=error.message)
    except Exception as error:  # the request's boundary: whatever the user's code raises
        return Exported(failure=describe(error), traceback=traceback_of(error, str(file.parent)))
    return Exported()


def _arrays(examples: Any) -> list["np.ndarray[Any, Any]"]:
    if isinstance(examples, dict):
        examples = list(examples.values())
    if not isinstance(examples, list | tuple):
        examples = [examples]
    return [np.asarray(each) for each in examples]


def main() -> None:
    """Serves the socket whose descriptor is the first argument, once."""
    die_with(os.getppid())
    build = socket.socket(fileno=int(sys.argv[1]))
    build.set_inheritable(False)
    reader = MessageReader(Export)
    asked: list[Export] = []
    while not asked and (data := build.recv(_READ_BYTES)):
        asked = reader.feed(data)
    for each in asked:
        build.sendall(pack(answer(each)))
    os._exit(0)  # a thread that the user's code started may never end


if __name__ == "__main__":
    main()
