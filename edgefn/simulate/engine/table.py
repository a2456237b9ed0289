"""What each site's policy is told that there is to choose among."""

from edgefn.routing.events import TableChanged
from edgefn.routing.table import DeployedEndpoint, DeployedVariant, Deployment, Place
from edgefn.simulate.engine.function import Function
from edgefn.simulate.engine.replica import Replica
from edgefn.simulate.engine.site import Site
from edgefn.simulate.scenario import FunctionModel, VariantModel


def local_endpoint(function: str, variant: str, box: str) -> str:
    """Returns the name of an endpoint on a box of the site."""
    return f"{function}/{variant}@{box}"


def peer_endpoint(place: str, function: str, variant: str) -> str:
    """Returns the name of an endpoint at another site."""
    return f"{place}/{function}/{variant}"


def table_of(site: Site, functions: list[Function], tiers: tuple[str, ...]) -> TableChanged:
    """Returns the table of a site.

    Args:
        site: With its peers and replicas.
        functions: Of the scenario.
        tiers: Of the scenario; the site's own comes first.
    """
    order = (site.tier, *(one for one in tiers if one != site.tier))
    replicas: dict[tuple[str, str], list[Replica]] = {}
    for device in site.devices:
        for replica in device.replicas:
            if not replica.retired:
                replicas.setdefault((replica.function, replica.model.name), []).append(replica)
    deployments = tuple(_deployment(site, one.model, replicas, order) for one in functions)
    places = (
        Place(tier=site.tier, site=site.name),
        *(
            Place(name=peer.name, tier=peer.other.tier, site=peer.other.name)
            for peer in site.peers.values()
        ),
    )
    return TableChanged(deployments, places)


def _deployment(
    site: Site,
    model: FunctionModel,
    replicas: dict[tuple[str, str], list[Replica]],
    tiers: tuple[str, ...],
) -> Deployment:
    here = [one.name for one in model.variants if site.tier in one.tiers]
    return Deployment(
        name=model.name,
        revision=1,
        variants=tuple(
            _variant(site, model.name, one, replicas.get((model.name, one.name), []))
            for one in model.variants
        ),
        default=here[0] if here else model.variants[0].name,
        objective=model.objective,
        min_accuracy=model.min_accuracy or None,
        tiers=tiers,
        max_batch=max(one.box.model.max_batch for one in site.devices),
        idempotent=model.idempotent,
    )


def _variant(
    site: Site, function: str, model: VariantModel, replicas: list[Replica]
) -> DeployedVariant:
    here = site.tier in model.tiers
    local = [
        DeployedEndpoint(name=one.endpoint, server=_server(one), load_s=model.load_s)
        for one in replicas
    ]
    away = [
        DeployedEndpoint(
            name=peer_endpoint(peer.name, function, model.name),
            place=peer.name,
            server=peer.name,
            replicas=peer.replicas_at(peer_endpoint(peer.name, function, model.name)),
            load_s=model.load_s,
        )
        for peer in site.peers.values()
        if peer.other.tier in model.tiers
    ]
    return DeployedVariant(
        name=model.name,
        endpoints=(*local, *away),
        accuracy=model.accuracy,
        unavailable="" if here else f"it is not served in tier {site.tier}",
        load_s=model.load_s,
        fixed_s=model.fixed_s,
        each_s=model.each_s,
        cv=model.cv,
        cost=model.cost,
        energy_j=model.energy_j,
        # What comes to a site that serves it has its prefix behind it.
        prefix_s=0.0 if here else model.prefix_s,
        bytes_factor=1.0 if here else model.bytes_factor,
    )


def _server(replica: Replica) -> str:
    """Returns what its calls queue for: the box, unless it has a core for itself."""
    return "" if replica.lanes < replica.device.box.model.cores else replica.device.box.name
