"""What the Ray of a machine should be, by what its box knows of the fleet. Pure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgefn_runtime.leasing import FleetNow

# The least that Ray takes: nothing of ours goes through its object store.
OBJECT_STORE_BYTES: Final = 80 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What to start.

    Attributes:
        head: Address of the head to join; empty: the head itself.
        token: Of that head; empty: it is to be made here.
        labels: By which Serve finds the machine.
    """

    head: str
    token: str
    labels: tuple[tuple[str, str], ...]


def role_of(now: FleetNow) -> Role | None:
    """Returns what Ray is to be here; None: that is not known yet."""
    labels = tuple(
        (label, value)
        for label, value in (("tier", now.tier), ("site", now.site), ("box", now.box))
        if value
    )
    if now.is_hub:
        return Role(head="", token="", labels=labels)
    if not now.head or not now.token:
        return None
    return Role(head=now.head, token=now.token, labels=labels)


def start_arguments(role: Role, *, host: str, folder: Path) -> list[str]:
    """Returns the arguments of `ray start`.

    Args:
        role: What to start.
        host: Address under which the other machines reach this one.
        folder: For its sockets and logs; with a short path.
    """
    place = (
        ["--head", "--port=0", "--include-dashboard=false", "--no-monitor"]
        if not role.head
        else [f"--address={role.head}"]
    )
    labels = ",".join(f"{label}={value}" for label, value in role.labels)
    return [
        *place,
        "--block",
        f"--node-ip-address={host}",
        f"--temp-dir={folder}",
        f"--labels={labels}",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        "--num-cpus=0",  # no task of others is placed here, and no process waits for one
        "--num-gpus=0",
        "--dashboard-agent-listen-port=0",
        "--include-log-monitor=false",
        "--disable-usage-stats",
        "--log-style=record",
        "--log-color=false",
    ]
