"""The fleet of a hub, as `edgefn status` shows it: boxes, links, and what serves where."""

from collections.abc import Iterator
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from edgefn.cli import output
from edgefn.desired.fleet import FleetBox, FleetFunction, FleetStatus
from edgefn.desired.report import BoxReport, FunctionReport


class Placed(NamedTuple):
    """A function at a box.

    Attributes:
        function: Its name.
        revision: On the hub; 0: the fleet is not to serve it, and it was there before.
        box: Of the fleet.
        state: `lost` if the box is; else as the box says, or `pending` if it does not yet serve
            what it should.
        serves: The revision that serves, or its digest if the hub wants another one, or nothing.
        reason: Why it does not serve what it should.
        said: What the box says of it, if anything.
    """

    function: str
    revision: int
    box: str
    state: str
    serves: str = ""
    reason: str = ""
    said: FunctionReport | None = None


def placed(fleet: FleetStatus) -> list[Placed]:
    """Returns each function at each box, by name."""
    return [
        one
        for function in sorted(_functions(fleet), key=lambda function: function.name)
        for box in fleet.boxes
        if (one := _at(function, box)) is not None
    ]


def fleet_tables(fleet: FleetStatus) -> list[Table]:
    """Returns the boxes of a fleet, and what serves at each."""
    tables = [_boxes(fleet)]
    rows = placed(fleet)
    if rows:
        tables.append(_placed_table(rows))
    return tables


def fleet_troubles(fleet: FleetStatus) -> Iterator[str]:
    """Yields a sentence on each thing that is not as it should be."""
    for box in fleet.boxes:
        if box.state == "lost":
            yield _lost(box)
    for one in placed(fleet):
        if one.reason and one.state in ("failed", "pending", "quarantined"):
            yield f"{one.function} at {one.box} is {one.state}: {one.reason}"


def _functions(fleet: FleetStatus) -> Iterator[FleetFunction]:
    """Yields what the fleet should serve, and what boxes have beside that."""
    yield from fleet.functions
    known = {function.name for function in fleet.functions}
    others = {
        said.name
        for box in fleet.boxes
        if box.report is not None
        for said in box.report.functions
        if said.name not in known
    }
    for name in others:
        yield FleetFunction(name=name, revision=0, digest="")


def _at(function: FleetFunction, box: FleetBox) -> Placed | None:
    reported = box.report.functions if box.report is not None else ()
    said = next((one for one in reported if one.name == function.name), None)
    if said is None and not function.revision:
        return None
    at = Placed(function.name, function.revision, box.box, "pending", said=said)
    if said is not None:
        at = at._replace(state=said.state, serves=_serves(function, said), reason=said.reason)
        if function.revision and said.state == "serving" and said.digest != function.digest:
            at = at._replace(state="pending")
    if box.state == "lost":  # what it said last says nothing of now
        return at._replace(state="lost", serves="", reason="", said=None)
    return at


def _serves(function: FleetFunction, said: FunctionReport) -> str:
    if said.state == "elsewhere":
        return ""
    wanted = said.digest == function.digest
    return f"revision {function.revision}" if wanted else said.digest[:12]


def _boxes(fleet: FleetStatus) -> Table:
    made = output.table("box", "tier", "site", "state", "edgefn", "follows", "Ray", "links")
    for box in fleet.boxes:
        report = box.report
        if report is None:
            made.add_row(output.plain(box.box), "", "", _state(box), "", "", "", "")
            continue
        made.add_row(
            output.plain(box.box),
            output.plain(report.tier),
            output.plain(report.site),
            _state(box),
            output.plain(report.version),
            _follows(fleet, box, report),
            "yes" if report.has_ray and box.state == "up" else "",
            _links(report) if box.state == "up" else "",
        )
    return made


def _state(box: FleetBox) -> Text:
    told = output.state(box.state)
    if box.is_hub:
        told.append(", the hub")
    if box.state == "up":
        told.append(f", started {output.age(box.since)}", "dim")
    elif box.report is not None:
        told.append(f", heard of {output.age(box.since)}", "dim")
    return told


def _follows(fleet: FleetStatus, box: FleetBox, report: BoxReport) -> Text:
    """Returns up to which number of the desired state a box has come."""
    if box.is_hub:
        return output.plain(f"revision {fleet.revision}")
    if (report.epoch, report.revision) == (fleet.epoch, fleet.revision):
        return output.plain(f"revision {report.revision}")
    known = report.revision if report.epoch == fleet.epoch else 0
    return output.plain(f"revision {known} of {fleet.revision}", "yellow")


def _links(report: BoxReport) -> Text:
    told = Text()
    for link in report.links:
        told.append(", " if told else "")
        told.append(f"{link.box} ", "" if link.up else "red")
        if not link.up:
            told.append("is down", "red")
        else:
            told.append(output.milliseconds(link.rtt_s * 1000) if link.rtt_s else "up", "dim")
    return told


def _placed_table(rows: list[Placed]) -> Table:
    made = output.table(
        "function", "revision", "box", "state", "serves", "replicas", "leases", "calls", "misses",
        right=("revision", "replicas", "leases", "calls", "misses"),
    )  # fmt: skip
    for one in rows:
        said = one.said
        variants = said.variants if said is not None else ()
        made.add_row(
            output.plain(one.function),
            str(one.revision) if one.revision else "its own",
            output.plain(one.box),
            output.state(one.state),
            output.plain(one.serves),
            str(sum(variant.replicas for variant in variants)),
            str(sum(variant.leases for variant in variants)),
            str(said.calls if said is not None else 0),
            str(said.misses if said is not None else 0),
        )
    return made


def _lost(box: FleetBox) -> str:
    if box.report is None:
        return f"box {box.box} is lost: it was not heard of since the hub started"
    return f"box {box.box} is lost: it was heard of last {output.age(box.since)}, at {box.since}"
