"""The sites and boxes of a scenario one by one, where the file has groups of equal ones."""

from dataclasses import dataclass

from edgefn.simulate.scenario import BoxModel, Scenario, SiteModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box.

    Attributes:
        index: Among all boxes of the scenario.
        name: Unique, as in `shop-2.1`.
        site: Index of its site.
        model: As the file has it.
        straggles: Whether it is a straggler at times.
    """

    index: int
    name: str
    site: int
    model: BoxModel
    straggles: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One site.

    Attributes:
        index: Among all sites of the scenario: `Arrival.site`.
        name: Unique.
        model: As the file has it.
        boxes: That stand there.
    """

    index: int
    name: str
    model: SiteModel
    boxes: tuple[Box, ...]


def sites_of(scenario: Scenario) -> tuple[Site, ...]:
    """Returns all sites, in the order of the file, each group by number."""
    sites: list[Site] = []
    boxes = 0
    for model in scenario.sites:
        for number in range(1, model.count + 1):
            name = model.name if model.count == 1 else f"{model.name}-{number}"
            made = _boxes_of(model, name=name, site=len(sites), first=boxes)
            boxes += len(made)
            sites.append(Site(index=len(sites), name=name, model=model, boxes=made))
    return tuple(sites)


def _boxes_of(model: SiteModel, *, name: str, site: int, first: int) -> tuple[Box, ...]:
    boxes: list[Box] = []
    for group in model.boxes:
        for number in range(group.count):
            straggles = group.straggles_every_s > 0.0 and group.straggles_for_s > 0.0
            boxes.append(
                Box(
                    index=first + len(boxes),
                    name=f"{name}.{len(boxes) + 1}",
                    site=site,
                    model=group,
                    straggles=straggles and not (group.straggler_only_first and number),
                )
            )
    return tuple(boxes)
