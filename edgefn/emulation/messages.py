"""What is said on the control socket of emulated links: one JSON object a line, each answered."""

from typing import Final

import msgspec

from edgefn.emulation.path import Conditions

MAX_LINE_BYTES: Final = 64 * 1024
SOCKET: Final = "links.sock"  # in the folder of a session


class Open(msgspec.Struct, frozen=True, tag="open"):
    """Make a link. Until it is aimed, who dials it is turned away.

    Attributes:
        name: Of the boxes at its ends, as in `edge-1:cloud-1`.
        conditions: At first.
    """

    name: str
    conditions: Conditions


class Aim(msgspec.Struct, frozen=True, tag="aim"):
    """Say where links lead to.

    Attributes:
        box: At their far end, as in `cloud-1`.
        host: Its address for peers,
        port: and its port.
    """

    box: str
    host: str
    port: int


class Change(msgspec.Struct, frozen=True, tag="change", kw_only=True):
    """Change links; None leaves as it is.

    Attributes:
        link: Name of one, or of a box for all that lead to it; empty for all.
        rtt_s: See `Conditions`.
        jitter_s: See `Conditions`.
        rate_bps: See `Conditions`.
        loss: See `Conditions`.
        cut: See `Conditions`.
    """

    link: str = ""
    rtt_s: float | None = None
    jitter_s: float | None = None
    rate_bps: float | None = None
    loss: float | None = None
    cut: bool | None = None


class Show(msgspec.Struct, frozen=True, tag="show"):
    """Tell of all links."""


class LinkStatus(msgspec.Struct, frozen=True):
    """One link.

    Attributes:
        name: Of the boxes at its ends.
        port: Where it listens.
        connections: That it carries.
        conditions: Now.
    """

    name: str
    port: int
    connections: int
    conditions: Conditions


class Links(msgspec.Struct, frozen=True):
    """The answer to each order.

    Attributes:
        links: That were made, changed or asked for.
        error: Why nothing was done, or empty.
    """

    links: tuple[LinkStatus, ...] = ()
    error: str = ""


Order = Open | Aim | Change | Show
