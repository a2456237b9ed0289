"""What a box takes of the machine: its process and all that it started."""

import contextlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_ROLES: Final = {
    "edgefn.cli.box_process": "box",
    "edgefn.gateway": "gateway",
    "edgefn_runtime.forkserver": "forkserver",
    "edgefn.fleet": "companion",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a process has in memory.

    Attributes:
        role: What it is to its box.
        private_mb: Pages that no other process has.
        own_mb: Pages without a file behind them; those that processes share are shared out.
        resident_mb: All pages, of files too; those that processes share are shared out.
    """

    role: str
    private_mb: float
    own_mb: float
    resident_mb: float


def memory_of_box(pid: int) -> list[Memory]:
    """Returns the memory of each process of a box.

    Args:
        pid: Of the box.
    """
    return [_memory(process, role) for process, role in processes_of_box(pid)]


def serving(pid: int) -> list[int]:
    """Returns the processes of a box without those of Ray.

    Args:
        pid: Of the box.
    """
    roles = ("box", "gateway", "forkserver", "replica")
    return [process for process, role in processes_of_box(pid) if role in roles]


def cpu_s(pids: Iterable[int]) -> float:
    """Returns the processor time that processes have had; those that have ended do not count."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            stat = (_PROC / str(pid) / "stat").read_text()
            fields = stat.rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def processes_of_box(pid: int) -> list[tuple[int, str]]:
    """Returns the processes of a box, each with what it is to the box.

    Args:
        pid: Of the box.
    """
    children = _children()
    found: list[tuple[int, str]] = []
    waiting = [(pid, "")]
    while waiting:
        process, parent = waiting.pop(0)
        role = _role(process, parent)
        found.append((process, role))
        waiting += [(child, role) for child in children.get(process, ())]
    return found


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:  # it has ended
                continue
            found.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    return found


def _role(process: int, parent: str) -> str:
    arguments = (_PROC / str(process) / "cmdline").read_bytes().decode().split("\0")
    module = arguments[arguments.index("-m") + 1] if "-m" in arguments else arguments[0]
    role = _ROLES.get(module, module)
    return "replica" if role == parent == "forkserver" else role


def _memory(process: int, role: str) -> Memory:
    text = (_PROC / str(process) / "smaps_rollup").read_text()
    kb = {
        key: int(value.split()[0])
        for key, _, value in (line.partition(":") for line in text.splitlines()[1:])
    }
    return Memory(
        role=role,
        private_mb=_mb(kb["Private_Clean"] + kb["Private_Dirty"]),
        own_mb=_mb(kb["Pss_Anon"]),
        resident_mb=_mb(kb["Pss"]),
    )


def _mb(kb: int) -> float:
    return kb * 1024 / 1e6


if __name__ == "__main__":
    for one in memory_of_box(int(sys.argv[1])):
        print(one)
