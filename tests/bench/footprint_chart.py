"""Draws what a small box takes: of its disk by package, and of its memory by process.

python tests/bench/footprint_chart.py REPORT.json PICTURE.png
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

_COLOURS: Final = {
    "box": "#1f6feb",
    "gateway": "#79b8ff",
    "forkserver": "#8c959f",
    "replica": "#d9661f",
}
_SHOWN: Final = 8


def draw(report: dict[str, Any], path: Path) -> None:
    """Writes the picture of a report."""
    figure, (disk, memory) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    _packages(disk, report["installed"])
    _processes(memory, report["boxes"])
    for axes in (disk, memory):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _packages(axes: Any, packages: list[dict[str, Any]]) -> None:
    shown = [(row["package"], row["files_mb"], row["bytecode_mb"]) for row in packages[:_SHOWN]]
    rest = packages[_SHOWN:]
    shown.append((f"{len(rest)} more", *(_sum(rest, key) for key in ("files_mb", "bytecode_mb"))))
    names, files, code = zip(*reversed(shown), strict=True)
    axes.barh(names, files, color="#1f6feb", label="files")
    axes.barh(names, code, left=files, color="#d0d7de", label="their bytecode")
    of_files, of_code = (_sum(packages, key) for key in ("files_mb", "bytecode_mb"))
    axes.set_title(f"installed: {of_files:.0f} MB, and {of_code:.0f} of bytecode", fontsize=10)
    axes.legend(frameon=False)
    axes.set_xlabel("MB")


def _processes(axes: Any, boxes: dict[str, list[dict[str, Any]]]) -> None:
    for place, processes in enumerate(boxes.values()):
        bottom = 0.0
        for role, colour in _COLOURS.items():
            own_mb = _sum([one for one in processes if one["role"] == role], "own_mb")
            label = role if place == 0 else None
            axes.bar(place, own_mb, bottom=bottom, width=0.55, color=colour, label=label)
            bottom += own_mb
        axes.annotate(f"{bottom:.0f}", (place, bottom), ha="center", va="bottom", fontsize=9)
    axes.axhline(150, color="#57606a", linewidth=1, linestyle="--")
    axes.set_xticks(range(len(boxes)), [f"box, {name}" for name in boxes])
    axes.set_title("memory while it idles with one function, MB", fontsize=10)
    axes.set_ylim(0, 185)
    axes.legend(frameon=False, ncols=4, loc="upper center", fontsize=8)


def _sum(rows: list[dict[str, Any]], key: str) -> float:
    return float(sum(row[key] for row in rows))


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
