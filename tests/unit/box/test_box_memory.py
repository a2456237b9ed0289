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


def test_limits_of_the_service_and_above_count(tmp_path: Path) -> None:
    """The nearest to its end is the one; what the kernel would take back is not in use."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text(
        "1:name=systemd:/x\n0::/system.slice/edgefn.service\n"
    )
    (tmp_path / "meminfo").write_text("MemAvailable: 1000 kB\n")
    root = tmp_path / "group"
    service = root / "system.slice" / "edgefn.service"
    service.mkdir(parents=True)
    (root / "memory.max").write_text("not of it")
    (service / "memory.max").write_text("max\n")
    assert available(tmp_path, root) == 1000 * 1024
    (service / "memory.high").write_text("600000\n")
    (service / "memory.current").write_text("500000\n")
    assert available(tmp_path, root) == 100_000
    (service / "memory.stat").write_text("anon 1\ninactive_file 300000\nactive_file 5\n")
    assert available(tmp_path, root) == 400_000
    (service.parent / "memory.max").write_text("500000\n")
    (service.parent / "memory.current").write_text("500001\n")
    assert available(tmp_path, root) == 0
