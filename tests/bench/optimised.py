"""What the optimised form of a model saves: starts of replicas with and without it, by turns.

    python tests/bench/optimised.py [MODEL.onnx]...

Without a model it takes a MobileNetV2 with random weights, at 224 x 224 pixels. Replicas are forked
from a warm forkserver as a box does it. Loading is from the files to a model that has run once,
digests included. Private is the memory that a replica shares with no other, after its model has
run: of a first replica while it is alone, and of a third one beside the others.
"""

import hashlib
import statistics
import subprocess
import sys
import tempfile
import warnings
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
from mobilenet import MobileNetV2
from rich.console import Console
from rich.table import Table

from edgefn.compress.measuring.replicas import Replicas
from edgefn_runtime.backends import load_model
from edgefn_runtime.lifecycle import Measure, Measured, ModelFile, ReplicaConfig
from edgefn_runtime.optimised import RECORD_FILE, OptimisedForm, Record

TURNS = 7
SIDE_BY_SIDE = 3
SLICE_S = 0.1
FUNCTION = """
from edgefn import Model, edge_function


@edge_function(model="model.onnx")
def measured(x: int, model: Model) -> int:
    return x
"""


def mobilenet(path: Path) -> Path:
    """Writes the network with random weights."""
    import torch

    torch.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter, which needs no more than torch
        torch.onnx.export(
            MobileNetV2().eval(), (torch.zeros(1, 3, 224, 224),), str(path),
            input_names=["image"], dynamic_axes={"image": {0: "n"}}, dynamo=False,
        )  # fmt: skip
    return path


def optimise(model: Path, folder: Path) -> OptimisedForm:
    """Makes the form as a box does."""
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    engine = onnxruntime.__version__
    subprocess.run(
        [sys.executable, "-m", "edgefn_runtime.optimise", model, sha256, folder, engine, "1"],
        check=True,
    )
    record = msgspec.json.decode((folder / RECORD_FILE).read_bytes(), type=Record)
    return OptimisedForm(folder=str(folder), engine=engine, record=record)


def turn(replicas: Replicas, folder: Path, models: dict[str, ModelFile]) -> list[Measured]:
    """Starts some replicas, one after the other; returns what each says when it is the newest."""
    asked = Measure(inputs={"model": str(folder / "inputs.npz")}, batches=(1,), slice_s=SLICE_S)
    found = []
    with ExitStack() as stack:
        for number in range(SIDE_BY_SIDE):
            own = tempfile.mktemp(dir=replicas.folder)
            config = ReplicaConfig(
                replica=own, function="measured", revision=number, variant="onnx",
                root=str(folder), module="function.py", attribute="measured", models=models,
                socket=f"{own}.sock", status=f"{own}.page",
            )  # fmt: skip
            replica = replicas.start(config)
            stack.callback(replica.close)
            found.append(replica.measure(asked))
    return found


def compare(given: Path, table: Table) -> None:
    """Adds the rows of one model."""
    with tempfile.TemporaryDirectory(prefix="edgefn-bench-") as name, Replicas() as replicas:
        folder = Path(name)
        (folder / "function.py").write_text(FUNCTION)
        data = given.read_bytes()
        (folder / "model.onnx").write_bytes(data)
        write_inputs(data, folder / "inputs.npz")
        sha256 = hashlib.sha256(data).hexdigest()
        form = optimise(folder / "model.onnx", folder / "optimised")
        forms = {"as built": None, "optimised": form}
        found: dict[str, list[list[Measured]]] = {kind: [] for kind in forms}
        for _ in range(TURNS):
            for kind, one in forms.items():
                models = {"model": ModelFile("model.onnx", sha256, one)}
                found[kind].append(turn(replicas, folder, models))
        size = sum(path.stat().st_size for path in (folder / "optimised").iterdir())
        for kind, turns in found.items():
            numbers = ((len(data) if kind == "as built" else size) / 1e6, *summary(turns))
            table.add_row(given.stem, kind, *(f"{number:.1f}" for number in numbers))


def write_inputs(data: bytes, path: Path) -> None:
    """Writes one random input of a model that takes floats."""
    (info,) = load_model(data, "model.onnx").inputs
    shape = [1 if isinstance(size, str) else size for size in info.shape]
    array = np.random.default_rng(7).normal(size=shape).astype(info.dtype)
    np.savez(path, **{f"0/{info.name}": array})


def summary(turns: list[list[Measured]]) -> list[float]:
    """Loading in ms, least and median; private memory of first and last in MB; a run in ms."""
    loads_ms = [one.load_s * 1e3 for found in turns for one in found]
    return [
        min(loads_ms),
        statistics.median(loads_ms),
        statistics.median(found[0].private_bytes / 1e6 for found in turns),
        statistics.median(found[-1].private_bytes / 1e6 for found in turns),
        statistics.median(one.latencies[0].p50_s * 1e3 for found in turns for one in found),
    ]


def main() -> None:
    """Prints a table: files and memory in MB, times in ms."""
    table = Table("model", "form", "MB", "load, least", "load", "private, 1st", "3rd", "run")
    with tempfile.TemporaryDirectory(prefix="edgefn-bench-") as folder:
        given = [Path(argument) for argument in sys.argv[1:]]
        for model in given or [mobilenet(Path(folder, "mobilenet.onnx"))]:
            compare(model, table)
    Console().print(table)


if __name__ == "__main__":
    main()
