"""Exports a model that a file's callable returns, in a process of its own."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
        ExportFailed: A callable fails, what it returns cannot be exported, or the file cannot be
            written.
    """
    with _writing(result):  # what can be known is known before a long export
        result.parent.mkdir(parents=True, exist_ok=True)
        if result.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    with tempfile.TemporaryDirectory(prefix="edgefn-") as folder:
        made = Path(folder, "made.onnx")
        asked = Export(file=str(file.resolve()), model=model, examples=examples, result=str(made))
        _exported(file, asked, Path(folder))
        with _writing(result):
            shutil.copyfile(made, result)


@contextmanager
def _writing(result: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportFailed(f"{result} cannot be written: {error.strerror}") from error


def _exported(file: Path, asked: Export, work: Path) -> None:
    child: ChildProcess[Exported] = ChildProcess("edgefn.compress.export.child", Exported, work)
    try:
        child.send(asked)
        found = child.receive(_TIMEOUT_S)
        log = child.log()
    except (ChildDied, ChildSilent) as error:
        raise ExportFailed(f"{file}: exporting {asked.model}: {error}", log=child.log()) from error
    finally:
        child.close()
    if found.failure:
        raise ExportFailed(f"{file}: {found.failure}", traceback=found.traceback, log=log)
