"""What the boxes of a fleet reported last, and who is lost. Pure: the clock is handed in."""

from collections.abc import Iterable

import msgspec

from edgefn.desired.report import LOST_S, BoxReport
from edgefn.desired.state import Upstream
from edgefn.errors import EdgefnError


class NotItself(EdgefnError):
    """A box that reported for another one."""

    code = "forbidden"


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """The newest report of a box, and when it came: on the clock that does not jump."""

    report: BoxReport
    at_s: float

    def is_lost(self, now_s: float) -> bool:
        """Whether the box has been silent for too long."""
        return now_s - self.at_s > LOST_S


class Reports:
    """The newest report of each box that reported since the hub started."""

    def __init__(self) -> None:
        self._heard: dict[str, Heard] = {}

    def take(self, report: BoxReport, box: str, now_s: float) -> None:
        """Takes a report.

        Args:
            report: What was said.
            box: Name in the certificate of who said it.
            now_s: When.

        Raises:
            NotItself: A box can speak for itself only.
        """
        if report.box != box:
            raise NotItself(f"box {box!r} reports for {report.box[:100]!r}: it may for itself only")
        self._heard[box] = Heard(report=report, at_s=now_s)

    def heard(self) -> dict[str, Heard]:
        """Returns what each box said last, and when."""
        return dict(self._heard)

    def live(self, now_s: float) -> list[BoxReport]:
        """Returns the newest reports of those that are not lost."""
        return [heard.report for heard in self._heard.values() if not heard.is_lost(now_s)]

    def are_complete(self, boxes: Iterable[str], began_s: float, now_s: float) -> bool:
        """Whether all of some boxes reported since the hub began, or had the time to.

        Before that nobody can say what they need, which is another thing than nothing.
        """
        return now_s - began_s > LOST_S or self._heard.keys() >= set(boxes)

    def keep(self, boxes: Iterable[str]) -> None:
        """Forgets all boxes but these."""
        kept = set(boxes)
        self._heard = {name: heard for name, heard in self._heard.items() if name in kept}

    def upstreams(self, before: Iterable[Upstream], boxes: Iterable[str]) -> tuple[Upstream, ...]:
        """Returns whom the boxes of the fleet can dial, by name.

        Args:
            before: Whom they could; counts for those that have not reported since the hub started,
                and for those that are lost: whoever dials finds out when one is back.
            boxes: Names of all boxes whose certificates count.
        """
        found = {upstream.box: upstream for upstream in before}
        for name, heard in self._heard.items():
            found[name] = Upstream(box=name, tier=heard.report.tier, address=heard.report.address)
        counting = set(boxes)
        return tuple(
            found[name] for name in sorted(found) if found[name].address and name in counting
        )
