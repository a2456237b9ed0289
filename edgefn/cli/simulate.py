"""`edgefn simulate`."""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
import typer

from edgefn.cli import options, output, simulation_table
from edgefn.cli.simulation_options import File, Files, Folder, Load, Seed, Seeds
from edgefn.cli.steps_shown import steps_of
from edgefn.compress.recipe import ExtraMissing
from edgefn.simulate.baselines import POLICIES
from edgefn.simulate.charts import draw_course, draw_policies
from edgefn.simulate.engine.fleet import QueueKind
from edgefn.simulate.experiment import Setup, carry_out_all
from edgefn.simulate.file import read_scenario
from edgefn.simulate.result import RunResult
from edgefn.simulate.run import PRODUCTION
from edgefn.simulate.scenario import Scenario
from edgefn.simulate.summary import Difference, Summary, differences, grouped, summarise


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    summaries: list[Summary]
    differences: list[Difference]
    runs: list[RunResult]


_ALL: Final = (PRODUCTION, *POLICIES)


def _policies(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name not in _ALL:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(_ALL)}")
    return names


def command(
    file: File,
    load: Load = 1.0,
    seed: Seed = 1,
    seeds: Seeds = 3,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Who decides: edgefn, or another way for comparison; may be repeated.",
            callback=_policies,
        ),
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Compare all policies.")] = False,
    queue: Annotated[
        QueueKind,
        typer.Option(help="How replicas queue: earliest deadline first, or in order of arrival."),
    ] = "edf",
    folder: Folder = None,
    json: options.Json = False,
) -> None:
    """Plays a load on the boxes of a scenario file, in virtual time.

    Router, queues and scaler are those of production; boxes, networks and calls are made up.
    """
    scenario = read_scenario(file)
    policies = list(_ALL) if compare else list(dict.fromkeys(policy or [PRODUCTION]))
    setups = [
        Setup(scenario=scenario, policy=name, queue=queue, seed=seed + number, load=load)
        for name in policies
        for number in range(seeds)
    ]
    with steps_of(scenario.name) as shown:
        runs_of = "run" if len(setups) == 1 else "runs"
        with shown.step(f"{len(setups)} {runs_of} of {scenario.duration_s:g} s") as on_share:
            runs = carry_out_all(setups, on_share=on_share)
    report = Report(summaries=summarise(runs), differences=differences(runs), runs=runs)
    if json:
        output.print_json(report)
    else:
        _print(report)
    if folder is not None:
        _write(Files(folder), report, scenario)


def _print(report: Report) -> None:
    output.out.print(simulation_table.policies_table(report.summaries))
    output.out.print()
    output.out.print(simulation_table.misses_table(report.summaries))
    if report.differences:
        output.out.print(
            f"\n{report.summaries[0].policy} less each other, seed by seed; ~: within the luck"
        )
        output.out.print(simulation_table.differences_table(report.differences))
        return
    runs = report.runs
    output.out.print()
    output.out.print(simulation_table.parts_table("function", runs, "functions"))
    output.out.print()
    output.out.print(simulation_table.parts_table("calls at", runs, "sites"))
    output.out.print()
    output.out.print(simulation_table.variants_table(runs))
    output.out.print(_speed(runs))


def _speed(runs: Sequence[RunResult]) -> str:
    took_s = sum(run.took_s for run in runs)
    calls = sum(run.calls for run in runs)
    return f"\n{calls} calls counted, simulated in {took_s:.1f} s of one core"


def _write(files: Files, report: Report, scenario: Scenario) -> None:
    files.write("results.json", msgspec.json.format(msgspec.json.encode(report), indent=1))
    first = grouped(report.runs)[0]
    try:
        files.write("course.png", draw_course(first, warm_up_s=scenario.warm_up_s))
        if report.differences:
            title = f"{scenario.name} at load {first[0].load:g}"
            files.write("policies.png", draw_policies(report.summaries, title=title))
    except ExtraMissing as error:
        files.skip_pictures(error)
