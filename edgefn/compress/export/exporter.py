"""Exports a model that a file's callable returns, in a process of its own."""

from pathlib import Path
from typing import Final

from edgefn.compress.children.process import ChildDied, ChildProcess, ChildSilent
from edgefn.compress.errors import ExportFailed
from edgefn.compress.export.messages import Export, Exported

_TIMEOUT_S: Final = 1800.0  # loading a large model and tracing it


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
    child: ChildProcess[Exported] = ChildProcess("edgefn.compress.export.child", Exported)
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
