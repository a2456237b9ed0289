"""Prequal-like: probes of requests in flight and latency, reused by later calls.

After Wydrowski et al., "Load is not what you should balance: Introducing Prequal" (NSDI 2024). Each
call sends a few probes to replicas drawn at random; a pool keeps the answers. A replica with more
requests in flight (RIF) than most is hot. A call goes to the cold one of least latency; if all are
hot, to the one of least RIF. What the pool knows grows stale with age and use.

Replicas are the endpoints of all variants that may answer. Different here: a probe tells the state
of the moment in which it is sent and can be used after one way there and back; it costs the network
and the server nothing; and the network's mean is in the latency, which the paper, within a data
centre, can leave out. All of that is in its favour.
"""

from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import Final

from edgefn.routing.decisions import Demand, Rng
from edgefn.simulate.baselines.baseline import Baseline
from edgefn.simulate.baselines.known import Option
from edgefn.simulate.engine.ports import Oracle

# The paper's parameters.
PROBES: Final = 3
POOL: Final = 16
MAX_AGE_S: Final = 1.0
HOT_QUANTILE: Final = 0.84
_REUSE_SURPLUS: Final = 1.0  # its delta
_REMOVED: Final = 1.0  # probes taken out of the pool for each call
_RECENT: Final = 128  # RIFs of which the quantile is taken


@dataclass(slots=True, kw_only=True)
class _Probe:
    option: Option
    usable_s: float
    sent_s: float
    in_flight: int
    latency_s: float
    uses: float


@dataclass(slots=True)
class _Pool:
    probes: list[_Probe] = field(default_factory=list)
    on_their_way: deque[_Probe] = field(default_factory=deque)
    recent: deque[int] = field(default_factory=lambda: deque(maxlen=_RECENT))
    take_worst: bool = False


class Prequal(Baseline):
    """One pool for each function."""

    def __init__(self, oracle: Oracle) -> None:
        super().__init__()
        self._oracle = oracle
        self._pools: dict[str, _Pool] = {}

    def choose(self, now_s: float, call: Demand, options: list[Option], rng: Rng) -> Option | None:
        """Returns the best of the pool; one at random while the pool is nearly empty."""
        pool = self._pools.setdefault(call.function, _Pool())
        up = set(map(id, options))
        _refresh(pool, now_s, up)
        self._probe(pool, now_s, call, options, rng)
        if len(pool.probes) < 2:
            return options[int(rng() * len(options))]
        hot_from = _quantile(pool.recent)
        chosen = min(pool.probes, key=lambda one: _rank(one, hot_from))
        _use(pool, chosen, hot_from)
        return chosen.option

    def _probe(
        self, pool: _Pool, now_s: float, call: Demand, options: list[Option], rng: Rng
    ) -> None:
        for _ in range(min(PROBES, len(options))):
            option = options[int(rng() * len(options))]
            network_s = option.server.path.network_s
            wait_s = self._oracle.backlog_s(now_s, option.server.name)
            run_s = option.run_s * option.server.slowness
            pool.on_their_way.append(
                _Probe(
                    option=option,
                    usable_s=now_s + network_s,
                    sent_s=now_s,
                    in_flight=self._oracle.held(now_s, option.server.name),
                    latency_s=network_s + option.variant.prefix_s + wait_s + run_s,
                    uses=_reuses(len(options)),
                )
            )


def _refresh(pool: _Pool, now_s: float, up: set[int]) -> None:
    for _ in range(len(pool.on_their_way)):
        probe = pool.on_their_way.popleft()
        if probe.usable_s > now_s:
            pool.on_their_way.append(probe)
            continue
        pool.recent.append(probe.in_flight)
        pool.probes.append(probe)
    pool.probes = [
        one for one in pool.probes if now_s - one.sent_s <= MAX_AGE_S and id(one.option) in up
    ][-POOL:]


def _rank(probe: _Probe, hot_from: int) -> tuple[bool, float]:
    hot = probe.in_flight > hot_from
    return hot, probe.in_flight if hot else probe.latency_s


def _use(pool: _Pool, chosen: _Probe, hot_from: int) -> None:
    """Counts the call that goes there, and takes out the oldest probe or the worst in turn."""
    chosen.in_flight += 1
    chosen.latency_s += chosen.option.work_s
    chosen.uses -= 1.0
    if chosen.uses <= 0.0:
        pool.probes.remove(chosen)
    elif len(pool.probes) > 2:
        if pool.take_worst:
            pool.probes.remove(max(pool.probes, key=lambda one: _rank(one, hot_from)))
        else:
            pool.probes.pop(0)
        pool.take_worst = not pool.take_worst


def _reuses(replicas: int) -> float:
    """Returns how often a probe may be used, so that the pool neither empties nor overflows."""
    rate = (1.0 - POOL / replicas) * PROBES - _REMOVED if replicas else 0.0
    return max(1.0, (1.0 + _REUSE_SURPLUS) / rate) if rate > 0.0 else inf


def _quantile(values: deque[int]) -> int:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(HOT_QUANTILE * len(ordered)))]
