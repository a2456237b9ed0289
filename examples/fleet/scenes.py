"""What the fleet demo shows: each scene does something, and returns what was seen."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fleet.boxes import PLANTS, Fleet, until
from fleet.bundles import ACCURATE, all_bundles, faster_inspection
from fleet.calls import Seen, Wanted, call_at, calling, samples_of
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from edgefn.desired.fleet import FleetBox
from edgefn.desired.report import FunctionReport

NAMES: Final = ("diagnosis", "monitoring", "voice")
EDGE: Final = PLANTS[0]
INSPECTION: Final = Wanted(
    function="inspection", inputs=tuple({"part": number} for number in range(100))
)
CALM_RATE, RUSH_RATE = 8.0, 75.0  # two boxes at the edge do 50 a second
PATIENT_MS: Final = 2000.0


@dataclass(slots=True)
class Demo:
    """The stage of all scenes.

    Attributes:
        fleet: That runs.
        console: For people.
        scratch: A folder to write in.
        seconds: How long each spell of calls lasts.
        rows: What was seen, for the table at the end.
        facts: The same, for programs.
    """

    fleet: Fleet
    console: Console
    scratch: Path
    seconds: float
    rows: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def saw(self, what: str, seen: str, **facts: Any) -> None:
        """Takes note of something, and prints it."""
        self.rows.append((what, seen))
        self.facts.update(facts)
        self.console.print(f"  {what}: [bold]{seen}[/]")


def deploy(demo: Demo) -> None:
    """Deploys all functions to the hub, and waits until each box has what it should."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with demo.fleet.admin() as admin, Progress(*columns, console=demo.console) as progress:
        for bundle in all_bundles(demo.scratch):
            name = bundle.manifest.spec.name
            task = progress.add_task(f"deploying {name} to the hub", total=1)
            status = admin.deploy(bundle)
            progress.update(
                task, description=f"deployed {name}, revision {status.revision}", advance=1
            )
        task = progress.add_task("the other boxes fetch them", total=1)
        until(lambda: _all_serve(demo.fleet), what="all boxes serve all functions")
        progress.update(task, description="all boxes serve them", advance=1)


def calls_at_the_edge(demo: Demo) -> None:
    """Calls each function at both edge boxes."""
    for plant in PLANTS:
        seen = [
            call_at(demo.fleet.urls[plant], samples_of(name), rate=20, seconds=demo.seconds / 2)
            for name in NAMES
        ]
        _note_failures(demo, *seen)
        boxes = sum((one.boxes() for one in seen), Counter())
        demo.saw(f"calls at {plant}", f"answered at {_list(boxes)}", **{f"calls_{plant}": boxes})


def calls_that_need_accuracy(demo: Demo) -> None:
    """Calls a function with and without a floor that no variant at the edge reaches."""
    with demo.fleet.admin(EDGE) as admin:
        accuracy = {
            one.name: one.measured.accuracy.value
            for one in admin.function("voice").variants
            if one.measured is not None and one.measured.accuracy is not None
        }
    floor = accuracy[ACCURATE]
    for what, options in (
        ("any accuracy", {}),
        (f"at least {floor:.1%}", {"min_accuracy": floor, "deadline_ms": 500}),
    ):
        wanted = samples_of("voice", **options)
        seen = call_at(demo.fleet.urls[EDGE], wanted, rate=20, seconds=demo.seconds)
        _note_failures(demo, seen)
        shown = ", ".join(
            f"{count} at {box} by {variant} ({accuracy[variant]:.1%})"
            for (box, variant), count in seen.by().most_common()
        )
        key = "accurate" if options else "any_accuracy"
        demo.saw(f"voice at {EDGE}, {what}", shown, **{key: seen.boxes()})


def spill_over(demo: Demo) -> None:
    """Calls a function as often as the edge can do, then more often, then again as before."""
    for key, what, rate in (
        ("calm", "before", CALM_RATE), ("rush", "more than it can do", RUSH_RATE),
        ("calm_again", "after", CALM_RATE),
    ):  # fmt: skip
        before = _ran(demo.fleet, INSPECTION.function)
        seen = call_at(demo.fleet.urls[EDGE], INSPECTION, rate=rate, seconds=demo.seconds)
        _note_failures(demo, seen)
        ran = _ran(demo.fleet, INSPECTION.function) - before
        demo.saw(
            f"inspection at {EDGE}, {rate:.0f} a second, {what}",
            f"ran at {_list(ran)}; {len(seen.errors)} refused",
            **{key: ran, f"{key}_refused": len(seen.errors)},
        )


def cut_and_heal(demo: Demo) -> None:
    """Cuts the edge off, deploys something meanwhile, and heals the links."""
    fleet = demo.fleet
    bundle = faster_inspection(demo.scratch)
    with calling(fleet.urls[EDGE], _patient_voice(), rate=20) as running:
        fleet.cut(is_cut=True)
        cut_s = time.monotonic()
        with fleet.admin() as admin:
            status = admin.deploy(bundle)
        until(lambda: _is_alone(fleet), what=f"{EDGE} notices that it is cut off")
        alone_s = time.monotonic() - cut_s
        time.sleep(demo.seconds)
        had = _digest_at(fleet, EDGE, "inspection")
        fleet.cut(is_cut=False)
        healed_s = time.monotonic()
        for plant in PLANTS:
            until(
                lambda plant=plant: _digest_at(fleet, plant, "inspection") == status.digest,
                what=f"{plant} serves revision {status.revision} of inspection",
            )
        followed_s = time.monotonic() - healed_s
    seen = running.result()
    _note_failures(demo, seen)
    demo.saw(
        f"links cut, noticed after {alone_s:.1f} s; voice at {EDGE}",
        f"{len(seen.answers)} of {seen.calls} calls answered, at {_list(seen.boxes())}",
        cut_answered=len(seen.answers), cut_calls=seen.calls, cut_boxes=seen.boxes(),
    )  # fmt: skip
    demo.saw(
        f"inspection {status.revision} deployed meanwhile",
        f"{'not ' if had != status.digest else ''}at the edge before the links healed, "
        f"there {followed_s:.1f} s after",
        cut_had_it=had == status.digest, followed_s=followed_s,
    )  # fmt: skip


def lose_the_head(demo: Demo) -> None:
    """Waits for Ray's leases, kills the head of the cluster, and waits for them again."""
    fleet = demo.fleet
    until(lambda: _all_leased(fleet), what="Ray holds a lease on each replica", within_s=300)
    leases = {name: _leases(fleet.box(name)) for name in fleet.with_ray()}
    demo.saw("leases that Ray holds", _list(Counter(leases)), leases=leases)
    before = fleet.replicas(EDGE)
    with calling(fleet.urls[EDGE], _patient_voice(), rate=20) as running:
        fleet.kill_head()
        killed_s = time.monotonic()
        until(lambda: not _held_at(fleet, EDGE), what="the leases are lost", within_s=300)
        lost_s = time.monotonic() - killed_s
        during = fleet.replicas(EDGE)
        until(lambda: not _leases(fleet.box(EDGE)), what="the hub hears of it")
        until(lambda: _all_leased(fleet), what="Ray holds all leases again", within_s=300)
        again_s = time.monotonic() - killed_s
    after = fleet.replicas(EDGE)
    seen = running.result()
    _note_failures(demo, seen)
    same = before.keys() & during.keys() & after.keys()
    kept = {before[pid] for pid in same} == set(before.values())
    demo.saw(
        f"head of Ray killed; voice at {EDGE}",
        f"{len(seen.answers)} of {seen.calls} calls answered, by "
        f"{'the same' if kept else 'other'} replicas before, during and after",
        head_answered=len(seen.answers), head_calls=seen.calls, head_boxes=seen.boxes(),
        head_kept=kept,
    )  # fmt: skip
    demo.saw(
        f"leases at {EDGE}", f"lost after {lost_s:.0f} s, taken again after {again_s:.0f} s",
        leases_lost_s=lost_s, leases_again_s=again_s,
    )  # fmt: skip


def _patient_voice() -> Wanted:
    """Returns calls whose failure tells of more than a busy machine."""
    return samples_of("voice", deadline_ms=PATIENT_MS)


def _note_failures(demo: Demo, *seen: Seen) -> None:
    errors = Counter(error for one in seen for error in one.errors)
    for error, count in errors.most_common(3):
        demo.console.print(f"  {count} calls: {error}", style="dim", markup=False)


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{box} {count}" for box, count in sorted(counts.items())) or "no box"


def _all_serve(fleet: Fleet) -> bool:
    status = fleet.status()
    wanted = {function.name: function.digest for function in status.functions}
    return len(status.boxes) == len(fleet.urls) and all(
        wanted == {one.name: one.digest for one in _functions(box) if one.state == "serving"}
        for box in status.boxes
    )


def _all_leased(fleet: Fleet) -> bool:
    """Whether each replica that a box with Ray wants is held by a lease."""
    for name in fleet.with_ray():
        variants = [one for each in _functions(fleet.box(name)) for one in each.variants]
        if not any(one.leases for one in variants):
            return False
        if any(one.leases < one.wanted for one in variants if not one.refused):
            return False
    return True


def _functions(box: FleetBox) -> tuple[FunctionReport, ...]:
    return box.report.functions if box.report is not None else ()


def _leases(box: FleetBox) -> int:
    return sum(one.leases for each in _functions(box) for one in each.variants)


def _held_at(fleet: Fleet, box: str) -> int:
    """Returns how many leases are held at a box by what it says itself."""
    with fleet.admin(box) as admin:
        functions = admin.status().functions
    return sum(one.leases for each in functions for one in each.variants)


def _ran(fleet: Fleet, name: str) -> Counter[str]:
    """Returns how many calls of a function each box has sent to its own replicas so far."""
    found: Counter[str] = Counter()
    for box in fleet.urls:
        with fleet.admin(box) as admin:
            for function in admin.counts().functions:
                if function.name == name:
                    found[box] = sum(sent.count for sent in function.sent if not sent.place)
    return found


def _is_alone(fleet: Fleet) -> bool:
    with fleet.admin(EDGE) as admin:
        return not any(place.up for place in admin.status().places)


def _digest_at(fleet: Fleet, box: str, name: str) -> str:
    with fleet.admin(box) as admin:
        return admin.function(name).digest


SCENES: Final[tuple[tuple[str, Callable[[Demo], None]], ...]] = (
    ("Calls at the edge", calls_at_the_edge),
    ("Calls that need more accuracy than the edge has a variant for", calls_that_need_accuracy),
    ("More load than the edge can do", spill_over),
    ("The links of the edge cut, and healed", cut_and_heal),
    ("The head of Ray killed", lose_the_head),
)
WITH_RAY: Final = frozenset({lose_the_head})
