"""What the box knows of its memory."""

import os
from collections.abc import Callable
from pathlib import Path

from edgefn.box.memory import SHARE, BoxMemory, available
from edgefn.box.replica import Replica
from edgefn.box.revision import Revision
from edgefn_runtime.variant import Measurement, Variant

MEASURED = Measurement(size_bytes=1, load_s=0.1, private_bytes=7_000_000, latencies=())


def test_what_is_available_is_the_least_of_all_limits(tmp_path: Path) -> None:
    """Of the machine, or of the group that the box runs in."""
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:      500 kB\n")
    group = tmp_path / "group"
    assert available(tmp_path, group) == 500 * 1024
    group.mkdir()
    (group / "memory.current").write_text("1000\n")
    for limit, found in (("max\n", 500 * 1024), ("3000\n", 2000), ("900\n", 0)):
        (group / "memory.max").write_text(limit)
        assert available(tmp_path, group) == found
    assert available(tmp_path / "nowhere", group) == 0


async def test_replicas_are_measured(
    make_revision: Callable[..., Revision], make_replica: Callable[..., Replica]
) -> None:
    """Until then a replica has what it had when it was built, and there is no limit."""
    variant = Variant(name="a", backend="python", measured=MEASURED)
    revision = make_revision(variants=(variant, Variant(name="b", backend="python")))
    memory = BoxMemory()
    assert memory.budget_bytes == 0
    assert [memory.of("f", one) for one in revision.manifest.variants] == [7_000_000, 0]
    replica = make_replica(revision, "ready", "b")
    replica.pid = os.getpid()
    await memory.measure([replica])
    assert memory.of("f", variant) == 7_000_000
    assert memory.of("f", revision.manifest.variant("b")) > 1_000_000
    assert memory.budget_bytes > SHARE * memory.of("f", revision.manifest.variant("b"))
