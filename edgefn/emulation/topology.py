"""Which boxes a session has, and what the links between them are like: pure."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from edgefn.emulation.path import Conditions
from edgefn.errors import ConfigError

MOST_BOXES: Final = 12
_PART: Final = re.compile(r"([a-z][a-z0-9-]{0,30}?)(?::(\d{1,3}))?")


class TopologyBox(msgspec.Struct, frozen=True):
    """One box: its name, as in `edge-1`, and its tier. It stands at a site of its own."""

    name: str
    tier: str


class TopologyLink(msgspec.Struct, frozen=True):
    """A link: who dials, who is dialled, and what it is like at first."""

    dialler: TopologyBox
    dialled: TopologyBox
    conditions: Conditions

    @property
    def name(self) -> str:
        """As in `edge-1:cloud-1`."""
        return f"{self.dialler.name}:{self.dialled.name}"


def parse_boxes(text: str) -> tuple[TopologyBox, ...]:
    """Returns the boxes of a text like `edge:2,cloud:1`, in its order.

    Raises:
        ConfigError: It is not that, names a tier twice, or asks for too many or no boxes.
    """
    boxes: list[TopologyBox] = []
    for part in text.split(","):
        found = _PART.fullmatch(part.strip())
        if found is None:
            raise ConfigError(
                f"--topology {text}: {part.strip()!r} is no tier with a number of boxes; "
                "write it like edge:2,cloud:1"
            )
        tier, count = found[1], int(found[2] or 1)
        if any(box.tier == tier for box in boxes):
            raise ConfigError(f"--topology {text}: tier {tier!r} is named twice")
        if not 1 <= count <= MOST_BOXES:
            raise ConfigError(f"--topology {text}: {count} boxes of {tier!r}; 1 to {MOST_BOXES} do")
        boxes += (TopologyBox(f"{tier}-{number}", tier) for number in range(1, count + 1))
    if len(boxes) > MOST_BOXES:
        raise ConfigError(
            f"--topology {text}: {len(boxes)} boxes are too many for one machine; "
            f"at most {MOST_BOXES} do"
        )
    return tuple(boxes)


def links_between(
    boxes: tuple[TopologyBox, ...], across: Conditions, within: Conditions
) -> Iterator[TopologyLink]:
    """Yields a link for each two boxes. The one that comes first dials: edges dial outwards.

    Args:
        boxes: In order.
        across: For links between tiers.
        within: For links between boxes of one tier.
    """
    for number, dialler in enumerate(boxes):
        for dialled in boxes[number + 1 :]:
            same = dialler.tier == dialled.tier
            yield TopologyLink(dialler, dialled, within if same else across)
