"""How a box that is a hub begins to be one."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from edgefn.box.access import Access
from edgefn.box.config import BoxConfig
from edgefn.box.hub.desired import Desired
from edgefn.box.hub.hub import Hub
from edgefn.box.revision import Revision
from edgefn.box.trust import TrustList
from edgefn.desired.report import BoxReport


@asynccontextmanager
async def open_desired(config: BoxConfig) -> AsyncIterator[Desired | None]:
    """Opens what a hub remembers, and closes it again; None on a box that is none.

    Raises:
        ConfigError: It is damaged, or was written by a newer edgefn.
    """
    if not config.hub:
        yield None
        return
    desired = await Desired.open(config.state_dir / "hub.db")
    try:
        yield desired
    finally:
        await desired.aclose()


def make_hub(
    config: BoxConfig,
    desired: Desired | None,
    access: Access,
    serving: Callable[[], list[Revision]],
    own_report: Callable[[], BoxReport],
) -> Hub | None:
    """Returns what a box does as a hub; None if it is none."""
    if desired is None:
        return None
    return Hub(
        desired=desired,
        access=access,
        serving=serving,
        trusted=TrustList(config.state_dir).keys,
        own_report=own_report,
        has_ray=config.ray,
    )
