"""From pools of replicas to applications of Ray Serve, and what to do about those there are. Pure.

One application holds one pool. Serve builds an application as a whole: with all pools of a function
in one, a pool that comes or goes would start all the others anew. Its name says all that cannot
change while it runs, so that two drivers, one after the other, mean the same by it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edgefn_runtime.leasing import MAX_PER_BOX, Pool

PREFIX: Final = "edgefn"
DEPLOYMENT: Final = "leases"
_SEPARATOR: Final = ":"  # no name of a function, variant, tier or site has it

# A machine of Ray's runs no work of ours but leases, which need neither processor nor memory.
_ACTOR_CPUS: Final = 0
HEALTH_CHECK_PERIOD_S: Final = 2.0
HEALTH_CHECK_TIMEOUT_S: Final = 10.0
SHUTDOWN_WAIT_S: Final = 0.1  # until Serve asks a replica again whether it is done: it always is
SHUTDOWN_TIMEOUT_S: Final = 15.0  # longer than a box may take to answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to do, in this order.

    Attributes:
        delete: Applications that are not wanted.
        deploy: Pools whose application is missing, or failed for good.
        scale: Pools whose application is there; told their count again, which does no harm.
    """

    delete: tuple[str, ...]
    deploy: tuple[Pool, ...]
    scale: tuple[Pool, ...]


def name_of(pool: Pool) -> str:
    """Returns the name of the application that holds a pool."""
    parts = [PREFIX, pool.function, pool.variant, pool.tier, pool.site]
    if pool.max_per_box != MAX_PER_BOX:
        parts.append(str(pool.max_per_box))
    return _SEPARATOR.join(parts)


def change(pools: Iterable[Pool], there: Mapping[str, bool]) -> Change:
    """Returns how what is there becomes what is wanted.

    Args:
        pools: What is wanted. One of no replica is not deployed, but kept where it is there, so
            that it is back at once.
        there: Applications of Serve, and whether each failed for good. Those of others are left
            alone.
    """
    wanted = {name_of(pool): pool for pool in pools}
    ours = {name: failed for name, failed in there.items() if _is_ours(name)}
    return Change(
        delete=tuple(sorted(ours.keys() - wanted.keys())),
        deploy=tuple(
            pool for name, pool in sorted(wanted.items()) if pool.count and ours.get(name, True)
        ),
        scale=tuple(pool for name, pool in sorted(wanted.items()) if not ours.get(name, True)),
    )


def options_of(pool: Pool) -> dict[str, Any]:
    """Returns the options of Serve's deployment for a pool of at least one replica.

    It is for boxes of the pool's tier and site; while there is none of that site in the cluster,
    for others of the tier.
    """
    tier = {"tier": pool.tier}
    actor: dict[str, Any] = {"num_cpus": _ACTOR_CPUS, "label_selector": tier}
    if pool.site:
        actor["label_selector"] = tier | {"site": pool.site}
        actor["fallback_strategy"] = [{"label_selector": tier}]
    return {
        "name": DEPLOYMENT,
        "num_replicas": pool.count,
        "max_replicas_per_node": pool.max_per_box,
        "ray_actor_options": actor,
        "health_check_period_s": HEALTH_CHECK_PERIOD_S,
        "health_check_timeout_s": HEALTH_CHECK_TIMEOUT_S,
        "graceful_shutdown_wait_loop_s": SHUTDOWN_WAIT_S,
        "graceful_shutdown_timeout_s": SHUTDOWN_TIMEOUT_S,
    }


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX + _SEPARATOR)
