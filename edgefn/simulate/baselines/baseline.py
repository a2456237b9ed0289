"""What all baselines share: their table, and what they do when there is nothing to choose from."""

from abc import ABC, abstractmethod

from edgefn.errors import DeadlineUnattainable, NotDeployed
from edgefn.routing.decisions import Decision, Demand, Refuse, Rng, Send, Wait
from edgefn.routing.events import Event
from edgefn.simulate.baselines.known import Option
from edgefn.simulate.baselines.table import Table, send


class Baseline(ABC):
    """A policy of one ingress site, of which only the choice is left open.

    A call that another site forwarded asks for its variant, and is answered here or not at all.
    """

    def __init__(self) -> None:
        self.table = Table()

    @abstractmethod
    def choose(self, now_s: float, call: Demand, options: list[Option], rng: Rng) -> Option | None:
        """Returns where a call goes, of at least one option; None: it is refused."""

    def decide(self, now_s: float, call: Demand, rng: Rng) -> Decision:
        """Returns what to do with a call."""
        options = self.table.options(call.function)
        if call.hops:
            options = _forwarded(call, options)
        if not options:
            return self._without_options(call)
        if call.deadline_s is not None and call.deadline_s <= now_s:
            return Refuse(
                error=DeadlineUnattainable("the deadline passed before the call was sent")
            )
        option = self.choose(now_s, call, options, rng)
        if option is None:
            return Refuse(error=DeadlineUnattainable("no endpoint would answer in time"))
        return self.sent(now_s, call, option)

    def sent(self, now_s: float, call: Demand, option: Option) -> Send:
        """Returns the order to send a call, counted as work of its server."""
        return send(now_s, call, option)

    def hedge(self, now_s: float, call: Demand, first: Send, rng: Rng) -> Send | None:
        """Returns where a call that is not answered yet should go as well: nowhere."""
        return None

    def observe(self, now_s: float, event: Event) -> None:
        """Takes note of what happened."""
        self.table.observe(now_s, event)

    def _without_options(self, call: Demand) -> Decision:
        deployment = self.table.deployments.get(call.function)
        if deployment is None:
            return Refuse(error=NotDeployed(f"no function {call.function!r} is deployed"))
        return Wait(variant=deployment.default)


def _forwarded(call: Demand, options: list[Option]) -> list[Option]:
    asked = call.choice.variant if call.choice is not None else ""
    return [one for one in options if one.server.path.local and asked in ("", one.variant.name)]


def cheapest_variant(options: list[Option]) -> list[Option]:
    """Returns the local endpoints of the cheapest variant; of all places if none is local."""
    near = [one for one in options if one.server.path.local] or options
    least = min(near, key=lambda one: one.cost).variant.name
    return [one for one in near if one.variant.name == least]
