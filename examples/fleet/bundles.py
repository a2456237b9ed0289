"""What the fleet demo deploys: the three ready-made functions, and one that takes time."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edgefn.bundle.build import Bundle, build

HERE: Final = Path(__file__).resolve().parent
FUNCTIONS: Final = HERE.parents[1] / "functions"
ACCURATE, SMALL = "litert-fp16", "onnx-int8-static"


def all_bundles(scratch: Path) -> Iterator[Bundle]:
    """Yields what is to be deployed at first.

    Of voice two variants are kept: one for whoever has LiteRT, and a smaller one that is a little
    less accurate, for all others.

    Args:
        scratch: A folder to write in.
    """
    yield from build(str(FUNCTIONS / "diagnosis"))
    yield from build(str(FUNCTIONS / "monitoring"))
    voice = shutil.copytree(FUNCTIONS / "voice", scratch / "voice")
    _keep_variants(voice / "variants" / "variants.json", "voice", (ACCURATE, SMALL))
    yield from build(str(voice))
    yield from build(str(HERE / "inspection"))


def faster_inspection(scratch: Path) -> Bundle:
    """Returns a next revision of `inspection`: its device takes half as long."""
    folder = shutil.copytree(HERE / "inspection", scratch / "inspection")
    file = folder / "function.py"
    file.write_text(file.read_text().replace("DEVICE_S = 0.04", "DEVICE_S = 0.02"))
    (bundle,) = build(str(folder))
    return bundle


def _keep_variants(record: Path, name: str, kept: tuple[str, ...]) -> None:
    written = json.loads(record.read_text())
    function = written["functions"][name]
    function["variants"] = [each for each in function["variants"] if each["name"] in kept]
    record.write_text(json.dumps(written))
