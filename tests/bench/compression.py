"""Compresses a network of MobileNetV2's size through `edgefn build`, and holds it to its bars.

    python tests/bench/compression.py    some ten minutes, most of them training

The network is trained on scikit-learn's digits and judged on those that it has not seen. Size,
latency and accuracy of each variant are compared with those of the 32-bit floats of the same run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from mobilenet import digits, scaled, trained
from rich.console import Console
from rich.table import Table

from edgefn.compress.export.to_onnx import to_onnx

RESULTS = Path(__file__).with_name("results")
REFERENCE = "onnx-fp32"
PIXELS = 64
CALIBRATION = 1000  # training images to calibrate and to tune on, without their labels
BARS = {"size": ("x", 3.5), "latency": ("x", 2.0), "drop": ("points", 1.0)}
TRIED = (
    "onnx-int8-static",
    "onnx-int8-dynamic",
    "onnx-fp16",
    "litert-int8-static",
    "onnx-pruned-25",
    "onnx-pruned-25-int8-static",
    "onnx-pruned-50",
    "onnx-pruned-50-int8-static",
)

FUNCTION = '''
from edgefn import Model, Tensor, edge_function


@edge_function(model="mobilenet.onnx", evaluate="data.py:samples", calibrate="data.py:calibration")
def digit(image: Tensor["float32", 3, {pixels}, {pixels}], model: Model) -> int:
    """Read a digit."""
    return int(model(image[None])[0].argmax())
'''

DATA = """
from pathlib import Path

import numpy as np

FOUND = np.load(Path(__file__).with_name("digits.npz"))


def samples():
    for image, label in zip(FOUND["test"], FOUND["labels"]):
        yield {"image": image}, int(label)


def calibration():
    for image in FOUND["train"]:
        yield {"image": image}
"""


def write_function(folder: Path, pixels: int, epochs: int) -> None:
    """Trains the network and writes a function that serves it, with its data."""
    network = trained(pixels, epochs)
    train, test, _, labels = digits()
    (folder / "function.py").write_text(FUNCTION.format(pixels=pixels))
    (folder / "data.py").write_text(DATA)
    (folder / ".edgefnignore").write_text("digits.npz\ndata.py\n")
    np.savez(
        folder / "digits.npz",
        train=scaled(train[:CALIBRATION], pixels).numpy(),
        test=scaled(test, pixels).numpy(),
        labels=labels,
    )
    data = to_onnx(network, [scaled(train[:4], pixels).numpy()])
    (folder / "mobilenet.onnx").write_bytes(data)


def build(folder: Path) -> list[dict[str, Any]]:
    """Runs `edgefn build`; returns what became of each variant."""
    command = [sys.executable, "-m", "edgefn", "build", str(folder), "--json", "--keep-all"]
    command += [part for name in TRIED if _exists(name) for part in ("--only", name)]
    command += ["--output", str(folder.parent / "digit.edgefn")]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return list(json.loads(done.stdout)["built"][0]["tried"])


def _exists(name: str) -> bool:
    from edgefn.compress.recipes import all_recipes

    return name in [recipe.name for recipe in all_recipes()]


def compare(tried: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns each measured variant with its ratios to the 32-bit floats."""
    measured = [each for each in tried if each.get("latencies")]
    reference = next(each for each in measured if each["name"] == REFERENCE)
    return [
        {
            "name": each["name"],
            "kilobytes": each["size_bytes"] / 1e3,
            "p50_ms": _p50_s(each) * 1e3,
            "accuracy": each["accuracy"]["value"],
            "size": reference["size_bytes"] / each["size_bytes"],
            "latency": _p50_s(reference) / _p50_s(each),
            "drop": 100 * (reference["accuracy"]["value"] - each["accuracy"]["value"]),
        }
        for each in measured
    ]


def _p50_s(variant: dict[str, Any]) -> float:
    return float(variant["latencies"][0]["p50_s"])


def meets(variant: dict[str, Any]) -> bool:
    """Whether one variant meets all bars at once."""
    return (
        variant["size"] >= BARS["size"][1]
        and variant["latency"] >= BARS["latency"][1]
        and variant["drop"] <= BARS["drop"][1]
    )


def show(compared: list[dict[str, Any]], left_out: list[dict[str, Any]]) -> None:
    """Prints the variants and what was left out."""
    table = Table()
    for title in ("variant", "kB", "p50, ms", "accuracy", "size", "latency", "drop", "bars"):
        table.add_column(title, no_wrap=True, overflow="fold")
    for each in compared:
        table.add_row(
            each["name"],
            f"{each['kilobytes']:.0f}",
            f"{each['p50_ms']:.3f}",
            f"{each['accuracy']:.4f}",
            f"x{each['size']:.2f}",
            f"x{each['latency']:.2f}",
            f"{each['drop']:+.2f}",
            "all met" if meets(each) else "",
        )
    Console().print(table)
    for each in left_out:
        print(f"{each['name']} {each['state']}: {each['reason']}")


def main() -> int:
    """Runs the bench, prints it and writes it as JSON; fails if no variant meets the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=PIXELS, help="height and width of the image")
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "digit"
        folder.mkdir()
        write_function(folder, options.pixels, options.epochs)
        tried = build(folder)
    compared = compare(tried)
    left_out = [
        each for each in tried if not each.get("latencies") and each["reason"] != "not asked for"
    ]
    show(compared, left_out)
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "pixels": options.pixels,
        "epochs": options.epochs,
        "seconds": round(time.monotonic() - started_s),
        "bars": {name: bar for name, (_, bar) in BARS.items()},
        "variants": compared,
        "left_out": [{key: each[key] for key in ("name", "state", "reason")} for each in left_out],
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"compression-{report['at'].replace(':', '')}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {path}")
    return 0 if any(meets(each) for each in compared) else 1


if __name__ == "__main__":
    sys.exit(main())
