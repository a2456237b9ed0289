"""Exports a model: the process in which the user's code and the exporters run.

python -P -m edgefn.compress.export.child <descriptor of a socket>
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgefn.bundle.user_code import enter
from edgefn.compress.children.serving import Say, serve
from edgefn.compress.children.user_code import References
from edgefn.compress.export.messages import Export, Exported
from edgefn.compress.export.to_onnx import to_onnx
from edgefn.errors import EdgefnError
from edgefn_runtime.loader import import_file
from edgefn_runtime.tracebacks import describe, traceback_of


def answering(say: Say) -> Callable[[Export], None]:
    """Returns what exports models, and says what came of it."""
    return lambda asked: say(export(asked))


def export(asked: Export) -> Exported:
    """Does what a message asks for."""
    file = Path(asked.file)
    enter(file.parent)
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


if __name__ == "__main__":
    serve(Export, answering)
