"""What a baseline knows of paths, servers and endpoints: means of what answers told."""

from edgefn.routing.table import HERE, DeployedVariant, Place

_WEIGHT = 0.1  # of a new sample in a mean


class Path:
    """The way to a place.

    Attributes:
        place: At its end.
        local: Whether that is the site of the router itself.
        network_s: Mean time there and back.
    """

    __slots__ = ("local", "network_s", "place")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.local = place.name == HERE
        self.network_s = 0.0

    def learn(self, took_s: float) -> None:
        """Takes what one trip there and back took."""
        before = self.network_s
        self.network_s = before + (took_s - before) * _WEIGHT if before else took_s


class Server:
    """What calls queue for.

    Attributes:
        name: Unique.
        path: That leads to it.
        calls: That this router sent to it and that are not answered.
        work_s: Of these.
        slowness: How long runs take there, as a multiple of the profile.
        replicas: That share its queue: at a peer, there may be several.
    """

    __slots__ = (
        "_backlog_s",
        "_reported_s",
        "_since_s",
        "calls",
        "name",
        "path",
        "replicas",
        "slowness",
        "work_s",
    )

    def __init__(self, name: str, path: Path, replicas: int) -> None:
        self.name = name
        self.path = path
        self.replicas = replicas
        self.calls = 0
        self.work_s = 0.0
        self.slowness = 1.0
        self._backlog_s = 0.0
        self._reported_s = 0.0
        self._since_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Returns the larger of the own unanswered work and of the last report, aged."""
        told_s = self._backlog_s - (now_s - self._reported_s) + self._since_s
        return told_s if told_s > self.work_s else self.work_s

    def report(self, now_s: float, backlog_s: float) -> None:
        """Takes a load report."""
        self._backlog_s = backlog_s
        self._reported_s = now_s
        self._since_s = 0.0

    def add(self, work_s: float) -> None:
        """Counts one more call, and its work as it adds to the wait."""
        self.calls += 1
        self.work_s += work_s
        self._since_s += work_s

    def remove(self, work_s: float) -> None:
        """Counts one call less."""
        self.calls -= 1
        self.work_s = self.work_s - work_s if self.calls else 0.0


class Option:
    """One endpoint: a variant on a server.

    Attributes:
        name: Of the endpoint.
        function: Whose calls it takes.
        variant: As deployed.
        accuracy: As measured; 0 if it was not.
        cost: Of one call.
        server: That it is on.
        up: Whether it takes calls.
        run_s: Of a call alone, by the profile.
        share_s: What a call adds to the work of its server; less than `run_s` where calls share
            batches.
    """

    __slots__ = (
        "accuracy",
        "cost",
        "function",
        "name",
        "run_s",
        "server",
        "share_s",
        "up",
        "variant",
    )

    def __init__(
        self, function: str, name: str, variant: DeployedVariant, server: Server, *, up: bool
    ) -> None:
        self.name = name
        self.function = function
        self.variant = variant
        self.accuracy = variant.accuracy or 0.0
        self.server = server
        self.up = up
        self.run_s = variant.fixed_s + variant.each_s
        self.share_s = self.run_s
        self.cost = variant.cost or self.run_s

    @property
    def work_s(self) -> float:
        """By how much a call makes the next one wait."""
        server = self.server
        return self.share_s * server.slowness / server.replicas

    def latency_s(self, now_s: float) -> float:
        """Returns how long a call sent now would take, by means: network, queue and run."""
        server = self.server
        run_s = self.run_s * server.slowness
        return server.path.network_s + self.variant.prefix_s + server.wait_s(now_s) + run_s

    def learn(self, service_s: float, batch: int) -> None:
        """Takes the time that one batch ran."""
        self.share_s += (service_s / batch - self.share_s) * _WEIGHT
        expected_s = self.variant.fixed_s + self.variant.each_s * batch
        if expected_s:
            server = self.server
            server.slowness += (service_s / expected_s - server.slowness) * _WEIGHT
