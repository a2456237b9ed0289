"""Whatever happens to calls, the router's books stay right."""

from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgefn.routing.choice import Choice
from edgefn.routing.decisions import Refuse, Send, Wait
from edgefn.routing.events import (
    Abandoned,
    Answered,
    Connected,
    Disconnected,
    Failed,
    LoadReported,
    ProbeAnswered,
    ProbeSent,
    TableChanged,
)
from edgefn.routing.router import Router
from edgefn.routing.table import DeployedEndpoint, DeployedVariant, Deployment, Place

FLOOR = 0.7
ACCURACIES = {"low": 0.6, "mid": 0.8, "high": 0.9}
HERE = ("low@a", "mid@a", "mid@b", "high@b")
AWAY = ("mid@cloud", "high@cloud")
LIMIT = 3


class Demand:
    function = "f"
    size_bytes = 2000
    priority = 5
    idempotent = True

    def __init__(self, deadline_s: float | None, hops: int, choice: Choice | None) -> None:
        self.deadline_s, self.hops, self.choice = deadline_s, hops, choice


def deployment(revision: int) -> Deployment:
    def endpoint(name: str) -> DeployedEndpoint:
        server = name.split("@")[1]
        return DeployedEndpoint(
            name=name, server=server, place=server if name in AWAY else "", load_s=0.1
        )

    return Deployment(
        name="f",
        revision=revision,
        default="mid",
        min_accuracy=FLOOR,
        idempotent=True,
        variants=tuple(
            DeployedVariant(
                name=name,
                accuracy=accuracy,
                each_s=0.01 * accuracy,
                endpoints=tuple(endpoint(one) for one in (*HERE, *AWAY) if one.startswith(name)),
            )
            for name, accuracy in ACCURACIES.items()
        ),
    )


class RouterMachine(RuleBasedStateMachine):
    """Calls, answers, losses, connections and probes in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.router = Router(max_outstanding=LIMIT)
        self.now_s = 0.0
        self.open: list[tuple[Demand, Send]] = []
        self.closed: list[Send] = []
        self.connected: set[str] = set()
        self.probed_s = inf

    @initialize()
    def deploy(self) -> None:
        self.replace(1)
        for name in (*HERE, *AWAY):
            self.connect(name)

    @rule(revision=st.integers(1, 3))
    def replace(self, revision: int) -> None:
        places = (Place(), Place(name="cloud", tier="cloud"))
        self.observe(TableChanged((deployment(revision),), places))

    def observe(self, event: object) -> None:
        self.router.observe(self.now_s, event)  # type: ignore[arg-type]

    def held(self, name: str) -> int:
        return sum(send.endpoint == name for _, send in self.open)

    def accept(self, call: Demand, send: Send) -> None:
        assert send.endpoint in self.connected
        assert ACCURACIES[send.variant] >= FLOOR
        assert not (call.hops and send.place)
        assert not (send.place and self.now_s - self.probed_s > 1.01)
        self.open.append((call, send))
        assert self.held(send.endpoint) <= LIMIT

    @rule(
        budget_s=st.none() | st.floats(0.001, 2.0),
        hops=st.integers(0, 1),
        choice=st.sampled_from([None, Choice(variant="high"), Choice(min_accuracy=0.85)]),
    )
    def call(self, budget_s: float | None, hops: int, choice: Choice | None) -> None:
        deadline_s = None if budget_s is None else self.now_s + budget_s
        call = Demand(deadline_s, hops, choice)
        decision = self.router.decide(self.now_s, call, lambda: 0.5)
        if isinstance(decision, Send):
            self.accept(call, decision)
        else:
            assert isinstance(decision, Wait | Refuse)
        self.router.explain(self.now_s, call)

    @rule(by_s=st.floats(0.0, 0.5))
    def let_time_pass(self, by_s: float) -> None:
        self.now_s += by_s

    @precondition(lambda self: self.open)
    @rule(data=st.data(), queue_s=st.floats(0, 0.1), run_s=st.floats(0, 1), batch=st.integers(0, 4))
    def answer(self, data: st.DataObject, queue_s: float, run_s: float, batch: int) -> None:
        _, send = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.closed.append(send)
        self.observe(Answered(send, queue_s, run_s, queue_s, batch))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), what=st.sampled_from(["late", "left", "failed", "retried", "hedged"]))
    def lose(self, data: st.DataObject, what: str) -> None:
        call, send = self.open[data.draw(st.integers(0, len(self.open) - 1))]
        if what == "hedged":
            again = self.router.hedge(self.now_s, call, send, lambda: 0.5)
        else:
            self.open.remove((call, send))
            self.closed.append(send)
            lost = what in ("failed", "retried")
            self.observe(Failed(send) if lost else Abandoned(send, what == "late"))
            if what != "retried":
                return
            again = self.router.retry(self.now_s, call, send, lambda: 0.5)
            assert again is None or again.endpoint != send.endpoint
        if again is not None:
            self.accept(call, again)

    @precondition(lambda self: self.closed)
    @rule(data=st.data())
    def say_it_twice(self, data: st.DataObject) -> None:
        send = data.draw(st.sampled_from(self.closed))
        for event in (Answered(send, 0.0, 0.1, 0.0, 1), Abandoned(send, True), Failed(send)):
            self.observe(event)
        self.observe(Answered(send, 0.0, 0.1, 0.0, 1, abandoned=True))

    @rule(name=st.sampled_from((*HERE, *AWAY)))
    def disconnect(self, name: str) -> None:
        self.connected.discard(name)
        self.observe(Disconnected(name))
        for call, send in [one for one in self.open if one[1].endpoint == name]:
            self.open.remove((call, send))
            self.closed.append(send)
            self.observe(Failed(send))

    @rule(name=st.sampled_from((*HERE, *AWAY)))
    def connect(self, name: str) -> None:
        self.connected.add(name)
        self.observe(Connected(name))

    @rule(name=st.sampled_from(AWAY), backlog_s=st.floats(0, 3), replicas=st.integers(0, 3))
    def report(self, name: str, backlog_s: float, replicas: int) -> None:
        if name in self.connected:
            self.probed_s = inf
        self.observe(LoadReported(name, backlog_s, replicas))

    @rule(took_s=st.none() | st.floats(0, 2.0))
    def probe(self, took_s: float | None) -> None:
        if took_s is None:
            self.probed_s = min(self.probed_s, self.now_s)
            self.observe(ProbeSent("cloud"))
        else:
            self.probed_s = inf
            self.observe(ProbeAnswered("cloud", took_s, 64))

    @invariant()
    def the_books_are_right(self) -> None:
        registry = self.router._registry
        for name, endpoint in registry.endpoints.items():
            assert name in self.connected
            assert endpoint.outstanding == self.held(name)
        for server in registry.servers.values():
            assert server.outstanding >= 0
            assert server.own_s == 0.0 or server.outstanding
        second = self.router._second
        assert second._hedges.left >= 0.0 and second._retries.left >= 0.0

    def teardown(self) -> None:
        for _, send in self.open:
            self.observe(Answered(send, 0.0, 0.01, 0.0, 1))
        for server in self.router._registry.servers.values():
            assert (server.outstanding, server.own_s) == (0, 0.0)


RouterMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
test_the_books_stay_right = RouterMachine.TestCase
