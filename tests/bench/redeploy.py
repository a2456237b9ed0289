"""How long a one-line change takes from `deploy` to serving, and what of it is sent.

    python tests/bench/redeploy.py [FOLDER]

A box of its own on this machine; a copy of the function's folder, in which a line of function.py is
changed for each deployment. Times are from reading the folder to the new revision serving, as
`edgefn deploy` does it, without the start of its own process.
"""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from box import running_box

from edgefn.bundle.build import build
from edgefn.client.admin import AdminClient

FOLDER = Path(__file__).resolve().parents[2] / "functions" / "voice"
ROUNDS = 10


def deploy_once(admin: AdminClient, folder: Path) -> tuple[float, float, int, int]:
    """Returns the seconds of the build and in all, the bytes sent, and those of the bundle."""
    sent_bytes = 0

    def on_progress(sent: int, total: int) -> None:
        nonlocal sent_bytes
        sent_bytes = sent

    started_s = time.perf_counter()
    (bundle,) = build(str(folder))
    built_s = time.perf_counter()
    admin.deploy(bundle, on_progress)
    bundle_bytes = sum(content.size for content in bundle.files.values())
    return built_s - started_s, time.perf_counter() - started_s, sent_bytes, bundle_bytes


def main() -> None:
    """Deploys once, then again and again with one line changed, and prints a table."""
    given = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else FOLDER
    with running_box() as admin, tempfile.TemporaryDirectory(prefix="edgefn-bench-") as copy:
        folder = Path(copy, given.name)
        shutil.copytree(given, folder, ignore=shutil.ignore_patterns("__pycache__"))
        _, took_s, sent, size = deploy_once(admin, folder)
        print(f"first: {took_s:.2f} s, {sent} of {size} bytes sent")
        rounds = []
        for number in range(ROUNDS):
            source = folder / "function.py"
            source.write_text(f"{source.read_text()}# change {number}\n")
            rounds.append(deploy_once(admin, folder))
            only = source.stat().st_size
            assert rounds[-1][2] == only, f"{rounds[-1][2]} bytes were sent, not {only}"
        for name, column in (("build", 0), ("in all", 1)):
            times = sorted(each[column] for each in rounds)
            print(f"{name}: median {statistics.median(times):.2f} s, worst {times[-1]:.2f} s")
        print(f"sent: {rounds[-1][2]} of {size} bytes, the changed file alone")


if __name__ == "__main__":
    main()
