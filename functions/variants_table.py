"""Writes the table of a function's variants into its README, from what `edgefn build` measured.

python functions/variants_table.py [--check]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

FUNCTIONS = Path(__file__).parent
BEGIN, END = "<!-- variants: written by variants_table.py -->\n", "<!-- end of variants -->\n"
REFERENCE = "onnx-fp32"


def table(record: dict[str, Any], given_bytes: int) -> str:
    """Return the table of the kept variants as Markdown.

    Args:
        record: Of one function, out of its variants.json.
        given_bytes: Size of the model as the developer gave it.
    """
    variants = {variant["name"]: variant["measured"] for variant in record["variants"]}
    reference = variants[REFERENCE]
    lines = [
        "| variant | kB | of the given | p50, µs | speed-up | batch of 16, µs | accuracy "
        "| same answer |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, measured in variants.items():
        accuracy, agreement = measured["accuracy"], measured["agreement"]
        lines.append(
            f"| {name} | {measured['size_bytes'] / 1000:.1f} "
            f"| {measured['size_bytes'] / given_bytes:.2f} "
            f"| {_p50_us(measured, 1):.1f} "
            f"| {_p50_us(reference, 1) / _p50_us(measured, 1):.2f} x "
            f"| {_p50_us(measured, 16):.0f} "
            f"| {accuracy['value']:.4f} ({accuracy['low']:.3f}-{accuracy['high']:.3f}) "
            f"| {100 * agreement['value']:.1f} % |"
        )
    return "\n".join(lines) + "\n"


def _p50_us(measured: dict[str, Any], batch: int) -> float:
    return next(each["p50_s"] for each in measured["latencies"] if each["batch"] == batch) * 1e6


def with_table(folder: Path) -> str:
    """Return a function's README with its table as it should be."""
    record = json.loads((folder / "variants" / "variants.json").read_text())
    text = (folder / "README.md").read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    (path,) = folder.glob("*.onnx")
    lines = table(record["functions"][folder.name], path.stat().st_size)
    return f"{before}{BEGIN}\n{lines}\n{END}{after}"


def main() -> int:
    """Write the tables, or say which are not up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if stale")
    check = parser.parse_args().check
    stale = []
    for record in sorted(FUNCTIONS.glob("*/variants/variants.json")):
        readme = record.parents[1] / "README.md"
        wanted = with_table(record.parents[1])
        if readme.read_text() != wanted:
            stale.append(readme)
            if not check:
                readme.write_text(wanted)
    for readme in stale:
        print(f"{readme}: {'not what was measured' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
