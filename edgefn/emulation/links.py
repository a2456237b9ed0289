"""The emulated links of a session: made, changed and told of as the control socket asks."""

from typing import Final

import msgspec

from edgefn.emulation.link import EmulatedLink
from edgefn.emulation.messages import Aim, Change, Links, LinkStatus, Open, Order
from edgefn.emulation.path import Conditions
from edgefn.errors import ConfigError

_MOST_LINKS: Final = 256
_SEEDS_APART: Final = 1000


class EmulatedLinks:
    """All links of a session.

    Args:
        seed: Of jitter and loss: with the same one the same calls have the same luck.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._links: dict[str, tuple[EmulatedLink, int]] = {}

    async def carry_out(self, order: Order) -> Links:
        """Does what is asked and tells of the links that it concerns.

        Raises:
            ConfigError: It cannot be done; nothing was.
        """
        if isinstance(order, Open):
            return self._tell([await self._open(order)])
        if isinstance(order, Aim):
            return self._tell(self._aim(order))
        if isinstance(order, Change):
            return self._tell(self._change(order))
        return self._tell(list(self._links))

    async def aclose(self) -> None:
        """Ends all links."""
        for link, _ in self._links.values():
            await link.aclose()

    async def _open(self, order: Open) -> str:
        check(order.conditions)
        if order.name in self._links or len(self._links) >= _MOST_LINKS:
            raise ConfigError(f"there is a link {order.name!r} already, or {_MOST_LINKS} in all")
        seed = self._seed + _SEEDS_APART * len(self._links)
        link = EmulatedLink(order.conditions, seed)
        self._links[order.name] = (link, await link.listen())
        return order.name

    def _aim(self, order: Aim) -> list[str]:
        names = [name for name in self._links if name.rpartition(":")[2] == order.box]
        for name in names:
            self._links[name][0].aim(order.host, order.port)
        return names

    def _change(self, order: Change) -> list[str]:
        names = [name for name in self._links if concerns(order.link, name)]
        if not names:
            known = ", ".join(self._links) or "none"
            raise ConfigError(f"no link or box is called {order.link!r}; the links are {known}")
        given = {
            name: value
            for name, value in msgspec.structs.asdict(order).items()
            if name != "link" and value is not None
        }
        changed = {
            name: msgspec.structs.replace(self._links[name][0].conditions, **given)
            for name in names
        }
        for conditions in changed.values():
            check(conditions)
        for name, conditions in changed.items():
            self._links[name][0].change(conditions)
        return names

    def _tell(self, names: list[str]) -> Links:
        told = ((name, *self._links[name]) for name in names)
        return Links(
            tuple(
                LinkStatus(name, port, link.connections(), link.conditions)
                for name, link, port in told
            )
        )


def concerns(asked: str, name: str) -> bool:
    """Whether someone who asks for a link or a box, or for all (empty), means this link."""
    ends = name.split(":")
    return not asked or asked in ends or asked.split(":") in (ends, ends[::-1])


def check(conditions: Conditions) -> None:
    """Refuses what no link can be.

    Raises:
        ConfigError: A time or a rate below zero or beyond reason, or a loss that is no share.
    """
    for name, value, most in (
        ("round trip", conditions.rtt_s, 60.0),
        ("jitter", conditions.jitter_s, 60.0),
        ("rate", conditions.rate_bps, 1e12),
    ):
        if not 0.0 <= value <= most:
            raise ConfigError(f"a {name} of {value:g} cannot be; it is from 0 to {most:g}")
    if not 0.0 <= conditions.loss <= 0.5:
        raise ConfigError(
            f"a loss of {conditions.loss:.0%} cannot be emulated; it is from 0% to 50%: to cut a "
            "link use `edgefn link cut`"
        )
