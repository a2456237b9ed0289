"""The memory of a box: what a replica needs, and what all of them may have."""

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edgefn.box.replica import Replica
from edgefn.box.status import memory_of
from edgefn_runtime.variant import Variant

SHARE: Final = 0.8  # of what is available: the rest is for what functions need while they run


class BoxMemory:
    """As it was measured last; nothing is known, and nothing limited, before the first time.

    Attributes:
        budget_bytes: What replicas may have together, beside what they share; 0: no limit.
    """

    def __init__(self) -> None:
        self.budget_bytes = 0
        self._measured: dict[tuple[str, str], int] = {}  # by function and variant

    def of(self, function: str, variant: Variant) -> int:
        """Returns what a replica of a variant has for itself, in bytes; 0 if it is not known.

        Args:
            function: Its name.
            variant: Of it.
        """
        built = variant.measured.private_bytes if variant.measured is not None else 0
        return self._measured.get((function, variant.name), built)

    async def measure(self, replicas: Iterable[Replica]) -> None:
        """Reads what replicas have now, and what is available. Takes about 1 ms for each."""
        live = [replica for replica in replicas if replica.state in ("ready", "draining")]
        memory = await memory_of(live)
        available_bytes = await asyncio.to_thread(available)
        self._measured = {}
        for replica in live:
            key = replica.revision.function, replica.variant.name
            if replica.state == "ready":
                self._measured[key] = max(memory[replica.id], self._measured.get(key, 0))
        if available_bytes:
            self.budget_bytes = int(SHARE * (available_bytes + sum(memory.values())))


def available(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Returns how many bytes more could be used on this machine; 0 if nobody says.

    Each group that this process is in may have a limit of its own: of its service, its slice, its
    container.
    """
    try:
        lines = (proc / "meminfo").read_text().splitlines()
    except OSError:
        return 0
    found = next((line for line in lines if line.startswith("MemAvailable:")), "")
    free_bytes = 1024 * int(found.split()[1]) if found else 0
    own = cgroup / _own_group(proc)
    for group in (own, *own.parents):
        if group == cgroup.parent:
            break
        free_bytes = min(free_bytes, _free_in(group, free_bytes))
    return free_bytes


def _own_group(proc: Path) -> str:
    """Returns the group of this process in the one hierarchy of cgroup 2; empty: the root."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return ""
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    return "" if ".." in path else path  # of a namespace that is not ours


def _free_in(group: Path, otherwise: int) -> int:
    """Returns what a group may use beyond what it does; `otherwise` without a limit."""
    limits = [
        int(text)
        for name in ("memory.max", "memory.high")
        if (text := _text(group / name).strip()).isdigit()
    ]
    used = _text(group / "memory.current").strip()
    if not limits or not used.isdigit():
        return otherwise
    # Files that were read or written lately count as used, but the kernel takes that back first.
    given_back = re.search(r"^inactive_file (\d+)$", _text(group / "memory.stat"), re.MULTILINE)
    in_use = int(used) - (int(given_back[1]) if given_back else 0)
    return max(min(limits) - in_use, 0)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
