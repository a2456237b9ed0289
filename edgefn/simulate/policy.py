"""What decides in a simulation: the production router, or a baseline in its place."""

from typing import Protocol

from edgefn.routing.decisions import Decision, Demand, Rng, Send
from edgefn.routing.events import Event


class Policy(Protocol):
    """Of one ingress site; `edgefn.routing.router.Router` is one."""

    def decide(self, now_s: float, call: Demand, rng: Rng) -> Decision:
        """Returns what to do with a call."""

    def observe(self, now_s: float, event: Event) -> None:
        """Takes note of what happened."""

    def hedge(self, now_s: float, call: Demand, first: Send, rng: Rng) -> Send | None:
        """Returns where a call that is not answered yet should go as well, if anywhere."""
