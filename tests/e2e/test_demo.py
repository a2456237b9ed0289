"""What a new user runs first."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_ends_by_itself_and_shows_answers() -> None:
    """`make demo ARGS=--once` deploys and calls all three, and leaves no box behind."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "demo.py"), "--once"],
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    for expected in ("diagnosis", "monitoring", "voice", "malignant", "compute ms", "litert-"):
        assert expected in result.stdout
