"""A router with its calls, on a clock that the tests turn."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from edgefn.routing.choice import Choice
from edgefn.routing.decisions import Decision, Refuse, Send
from edgefn.routing.events import Abandoned, Answered, Connected, TableChanged
from edgefn.routing.router import Router
from edgefn.routing.table import DeployedEndpoint, DeployedVariant, Deployment, Place


@dataclass(kw_only=True)
class Call:
    function: str = "f"
    choice: Choice | None = None
    deadline_s: float | None = None
    size_bytes: int = 1000
    priority: int = 5
    hops: int = 0
    idempotent: bool = False


def half() -> float:
    return 0.5


def variant(name: str, *endpoints: str, **changes: object) -> DeployedVariant:
    """Returns a variant with replicas of these names on this box."""
    told = (*(DeployedEndpoint(name=one) for one in endpoints), *changes.pop("more", ()))  # type: ignore[misc]
    return DeployedVariant(name=name, endpoints=told, **changes)  # type: ignore[arg-type]


def function(*variants: DeployedVariant, **changes: object) -> Deployment:
    known = {"name": "f", "revision": 1, "default": variants[0].name, **changes}
    return Deployment(variants=variants, **known)  # type: ignore[arg-type]


class RoutedSite:
    """A router whose time is `now_s`."""

    def __init__(self, *deployments: Deployment, max_outstanding: int = 256) -> None:
        self.router = Router(max_outstanding=max_outstanding)
        self.now_s = 0.0
        self.places: tuple[Place, ...] = (Place(),)
        if deployments:
            self.deploy(*deployments)
            self.connect()

    def deploy(self, *deployments: Deployment) -> None:
        self.deployments = deployments
        self.router.observe(self.now_s, TableChanged(deployments, self.places))

    def connect(self, *names: str) -> None:
        """Connects these endpoints, or all that are deployed."""
        every = (e.name for d in self.deployments for v in d.variants for e in v.endpoints)
        for name in names or tuple(every):
            self.router.observe(self.now_s, Connected(name))

    def decide(self, call: Call | None = None, *, within_s: float | None = None) -> Decision:
        call = call or Call()
        if within_s is not None:
            call.deadline_s = self.now_s + within_s
        return self.router.decide(self.now_s, call, half)

    def send(self, call: Call | None = None, *, within_s: float | None = None) -> Send:
        decision = self.decide(call, within_s=within_s)
        assert isinstance(decision, Send), decision
        return decision

    def refuse(self, call: Call | None = None, *, within_s: float | None = None) -> str:
        """Returns the code of the refusal."""
        decision = self.decide(call, within_s=within_s)
        assert isinstance(decision, Refuse), decision
        return decision.error.body().code

    def answer(
        self,
        send: Send,
        service_s: float = 0.01,
        *,
        queue_s: float = 0.0,
        backlog_s: float = 0.0,
        batch: int = 1,
        abandoned: bool = False,
    ) -> None:
        answered = Answered(send, queue_s, service_s, backlog_s, batch, abandoned)
        self.router.observe(self.now_s, answered)

    def abandon(self, send: Send, *, overdue: bool) -> None:
        self.router.observe(self.now_s, Abandoned(send, overdue))

    def warm(self, service_s: float, **backlogs_s: float) -> None:
        """Lets each endpoint answer one call."""
        sends = {}
        for _ in backlogs_s:
            send = self.send()
            sends[send.endpoint] = send
        self.now_s += service_s
        for name, backlog_s in backlogs_s.items():
            self.answer(sends[name], service_s, backlog_s=backlog_s)


@pytest.fixture
def make_site() -> Callable[..., RoutedSite]:
    """Makes a router in which these deployments are connected."""
    return RoutedSite


@pytest.fixture
def make_call() -> Callable[..., Call]:
    """Makes a call to `f`."""
    return Call


@pytest.fixture
def make_variant() -> Callable[..., DeployedVariant]:
    """Makes a variant with replicas of these names on this box."""
    return variant


@pytest.fixture
def make_function() -> Callable[..., Deployment]:
    """Makes a deployment of `f` with these variants."""
    return function


@pytest.fixture
def site_of() -> Callable[..., RoutedSite]:
    """Makes a router for one function with one variant, `v`, and these replicas."""

    def make(*endpoints: str, max_outstanding: int = 256, **changes: object) -> RoutedSite:
        one = function(variant("v", *endpoints, **changes))
        return RoutedSite(one, max_outstanding=max_outstanding)

    return make


@pytest.fixture
def two_tiers() -> Callable[..., RoutedSite]:
    """Makes a router with a replica `here`, and a peer `cloud` that serves the same variant."""

    def make(**changes: object) -> RoutedSite:
        site = RoutedSite()
        site.places = (Place(), Place(name="cloud", tier="cloud"))
        there = DeployedEndpoint(name="there", place="cloud", server="cloud")
        known = {"fixed_s": 0.001, "each_s": 0.004, "load_s": 0.0, "more": (there,)}
        known |= {"tiers": ("cloud", "edge"), "idempotent": True, **changes}
        of_variant = {key: known.pop(key) for key in ("fixed_s", "each_s", "load_s", "more")}
        site.deploy(function(variant("v", "here", **of_variant), **known))
        site.connect()
        return site

    return make
