"""The fleet as operators see it. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from edgefn.box.hub.memory import Told
from edgefn.box.hub.reports import Heard
from edgefn.box.revision import Revision
from edgefn.desired.fleet import FleetBox, FleetFunction, FleetStatus
from edgefn.desired.report import LOST_S, BoxReport

_LAST_S: Final = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


def fleet_status(
    *,
    told: Told,
    serving: Iterable[Revision],
    own: BoxReport,
    boxes: Iterable[str],
    heard: Mapping[str, Heard],
    now_s: float,
    at_s: float,
) -> FleetStatus:
    """Returns what is known of a fleet.

    Args:
        told: The newest desired state.
        serving: What serves on the hub.
        own: The hub's report of itself.
        boxes: Names of all others whose certificates count.
        heard: What they reported.
        now_s: On the clock of the reports.
        at_s: The same instant, in seconds since 1970.
    """

    def others() -> Iterable[FleetBox]:
        for name in sorted(set(boxes) - {own.box}):
            known = heard.get(name)
            if known is None:
                is_new = at_s - own.started_s <= LOST_S  # the hub; boxes report to it again
                state: Literal["expected", "lost"] = "expected" if is_new else "lost"
                yield FleetBox(box=name, state=state, since=_instant(own.started_s))
            elif known.is_lost(now_s):
                since = _instant(at_s - (now_s - known.at_s))
                yield FleetBox(box=name, state="lost", since=since, report=known.report)
            else:
                since = _instant(known.report.started_s)
                yield FleetBox(box=name, state="up", since=since, report=known.report)

    hub = FleetBox(box=own.box, state="up", since=_instant(own.started_s), is_hub=True, report=own)
    return FleetStatus(
        hub=own.box,
        epoch=told.epoch,
        revision=told.revision,
        functions=tuple(sorted(map(_function, serving), key=lambda one: one.name)),
        boxes=(hub, *others()),
        ray=told.ray.address if told.ray is not None else "",
    )


def _function(revision: Revision) -> FleetFunction:
    return FleetFunction(
        name=revision.function,
        revision=revision.number,
        digest=revision.digest,
        tiers=revision.spec.tiers,
    )


def _instant(seconds: float) -> str:
    seconds = min(max(seconds, 0.0), _LAST_S)  # whatever a box says that its clock was
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
