"""Makes the optimised form of one model: run in a process of its own, which ends with the box.

    python -P -m edgefn_runtime.optimise MODEL SHA256 FOLDER ENGINE DESCRIPTOR

ENGINE is the version of ONNX Runtime that is to make it; DESCRIPTOR takes the reason if it cannot
be made. The folder counts only from the moment that its record, written last, has appeared under
its name; and there is one only where the form gives what the model gives. A model is a program: it
may ask for any amount of memory, time or disk, and is stopped where it asks for too much.
"""

import os
import resource
import shutil
import sys
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edgefn_runtime.backends import load_model
from edgefn_runtime.backends.inputs import Array
from edgefn_runtime.backends.onnx_optimised import load_optimised, write_optimised
from edgefn_runtime.errors import EdgefnError, LoadFailed
from edgefn_runtime.lifecycle import ModelFile
from edgefn_runtime.loader import verified_bytes
from edgefn_runtime.model import Model, ModelRunFailed, TensorInfo
from edgefn_runtime.optimised import RECORD_FILE, OptimisedForm
from edgefn_runtime.process import die_with, limit_address_space

CPU_S: Final = 120
# Files may have so many times the bytes of the model, and some more. Sixteen-bit floats become such
# of 32 bits where the processor has no others.
LARGER: Final = 4
MORE_BYTES: Final = 64 * 1024
TOLERANCE: Final = 1e-6
_NICE: Final = 19  # calls come first
# What free dimensions are tried at: the first of an input, and all others.
_SIZES: Final = ((1, 1), (2, 2), (1, 64))


def optimise(model: Path, sha256: str, folder: Path, engine: str) -> None:
    """Makes the form, whatever was there.

    Raises:
        LoadFailed: The model, or the form, cannot be loaded; they do not give the same; or this is
            another version of ONNX Runtime.
        OSError: The disk is full or fails.
    """
    data = verified_bytes(model.parent, ModelFile(model.name, sha256))
    limit_bytes = LARGER * len(data) + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True)
    written = write_optimised(data, model.name, folder)
    form = msgspec.structs.replace(written, engine=engine)  # what replicas will be told
    compare(load_model(data, model.name), load_optimised(form, model.name))
    _publish(form)


def compare(model: Model, optimised: Model) -> None:
    """Makes sure that two models take the same and give the same.

    Raises:
        LoadFailed: They do not, or nothing that was made up is an input of the first.
    """
    if (model.inputs, model.outputs) != (optimised.inputs, optimised.outputs):
        raise LoadFailed("its optimised form has other inputs or outputs")
    random = np.random.default_rng(0)
    runs = 0
    for first, others in _SIZES:
        inputs = [_made_up(info, first, others, random) for info in model.inputs]
        try:
            expected = model.run(list(inputs))
        except ModelRunFailed:
            continue
        if not all(map(_equal, expected, optimised.run(list(inputs)))):
            raise LoadFailed("its optimised form gives something else")
        runs += 1
    if not runs:
        raise LoadFailed("it runs on no input that was made up to try it")


def _made_up(info: TensorInfo, first: int, others: int, random: np.random.Generator) -> Array:
    free = (first, *[others] * len(info.shape[1:]))
    shape = [
        size if isinstance(size, int) else given
        for size, given in zip(info.shape, free, strict=False)
    ]
    dtype = np.dtype(info.dtype)
    if dtype.kind == "f":
        return random.normal(size=shape).astype(dtype)
    if dtype.kind == "O":
        return np.full(shape, "a", dtype)
    # Larger ones may be indices, for which few numbers are good everywhere.
    return random.integers(0, 256 if dtype.itemsize == 1 else 2, shape).astype(dtype)


def _equal(one: Array, other: Array) -> bool:
    if one.dtype.kind != "f":
        return np.array_equal(one, other)
    return one.shape == other.shape and np.allclose(
        one.astype(np.float64), other.astype(np.float64), TOLERANCE, TOLERANCE, equal_nan=True
    )


def _publish(form: OptimisedForm) -> None:
    folder = Path(form.folder)
    for path in folder.iterdir():
        path.chmod(0o400)
        _sync(path)
    unfinished = folder / f"{RECORD_FILE}.new"
    unfinished.write_bytes(msgspec.json.encode(form.record))
    _sync(unfinished)
    unfinished.rename(folder / RECORD_FILE)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _limit() -> None:
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    limit_address_space()


def _fall_silent() -> None:
    """What the engine says of inputs that it refuses is no news for the log of the box."""
    with open(os.devnull, "w") as null:
        for descriptor in (1, 2):
            os.dup2(null.fileno(), descriptor)


def main() -> int:
    """Does what the arguments say; why it could not be done goes to the given descriptor."""
    die_with(os.getppid())
    model, sha256, folder, engine, told_fd = sys.argv[1:]
    _limit()
    _fall_silent()
    try:
        optimise(Path(model), sha256, Path(folder), engine)
    except EdgefnError as error:
        reason = error.message
    except Exception as error:  # the engine's, or those of a full disk
        reason = f"{type(error).__name__}: {error}"
    else:
        return 0
    with open(int(told_fd), "w", errors="backslashreplace") as told:
        told.write(reason)
    return 1


if __name__ == "__main__":
    sys.exit(main())
