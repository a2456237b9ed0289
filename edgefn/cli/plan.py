"""`edgefn plan`."""

from typing import Annotated

import msgspec
import typer

from edgefn.cli import options, output, simulation_table
from edgefn.cli.simulation_options import File, Files, Folder, Load, Seed, Seeds
from edgefn.cli.steps_shown import steps_of
from edgefn.compress.recipe import ExtraMissing
from edgefn.simulate.charts import draw_plan
from edgefn.simulate.experiment import OnShare, Setup, carry_out_all
from edgefn.simulate.file import read_scenario
from edgefn.simulate.plan import Plan, Point, boxes_at, reason, search, sites_at, with_boxes
from edgefn.simulate.scenario import Scenario
from edgefn.simulate.summary import Summary, summarise


def command(
    file: File,
    slo: Annotated[
        float,
        typer.Option(min=0.0, max=100.0, metavar="PERCENT", help="Of calls answered in time."),
    ] = 99.0,
    vary: Annotated[
        str, typer.Option(metavar="TIER", help="Whose sites get more boxes, or fewer.")
    ] = "edge",
    most: Annotated[int, typer.Option(min=1, metavar="N", help="Try at most N boxes a site.")] = 64,
    load: Load = 1.0,
    seed: Seed = 1,
    seeds: Seeds = 3,
    folder: Folder = None,
    json: options.Json = False,
) -> None:
    """Finds out how many boxes a load needs, by simulation.

    Each site of the tier gets the same number, in the mix of boxes that the file gives it.
    """
    scenario = read_scenario(file)
    first = boxes_at(scenario, vary)
    with steps_of(scenario.name) as shown:

        def try_out(boxes: int) -> Summary:
            with shown.step(f"{boxes} {'box' if boxes == 1 else 'boxes'} a site") as on_share:
                resized = with_boxes(scenario, vary, boxes)
                return _summary(resized, range(seed, seed + seeds), load, on_share)

        tried, enough = search(try_out, slo=slo / 100.0, first=first, most=most)
    plan = Plan(
        tier=vary,
        sites=sites_at(scenario, vary),
        slo=slo / 100.0,
        points=tuple(Point(boxes=boxes, summary=tried[boxes]) for boxes in sorted(tried)),
        boxes=enough,
    )
    _show(plan, json=json)
    if folder is not None:
        _write(Files(folder), plan, scenario)
    if enough is None:
        raise typer.Exit(1)


def _summary(scenario: Scenario, seeds: range, load: float, on_share: OnShare) -> Summary:
    setups = [Setup(scenario=scenario, seed=seed, load=load) for seed in seeds]
    return summarise(carry_out_all(setups, on_share=on_share))[0]


def _show(plan: Plan, *, json: bool) -> None:
    if json:
        output.print_json(plan)
        return
    output.out.print(simulation_table.plan_table(plan))
    wanted = f"{100 * plan.slo:g} % in time"
    if plan.boxes is None:
        answer = f"boxes of the tier {plan.tier} alone do not reach {wanted}"
    else:
        total = plan.boxes * plan.sites
        where = (
            f"each of {plan.sites} {plan.tier} sites" if plan.sites > 1 else f"1 {plan.tier} site"
        )
        reach = "boxes reach" if total > 1 else "box reaches"
        answer = f"{total} {reach} {wanted}: {plan.boxes} at {where}"
    output.out.print(output.plain(f"\n{answer}\n{reason(plan)}"))


def _write(files: Files, plan: Plan, scenario: Scenario) -> None:
    files.write("plan.json", msgspec.json.format(msgspec.json.encode(plan), indent=1))
    try:
        files.write("plan.png", draw_plan(plan, title=scenario.name))
    except ExtraMissing as error:
        files.skip_pictures(error)
