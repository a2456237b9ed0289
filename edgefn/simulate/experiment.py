"""Runs simulations, several at the same time in processes of their own."""

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import msgspec

from edgefn.simulate.engine.fleet import QueueKind
from edgefn.simulate.result import RunResult
from edgefn.simulate.run import PRODUCTION, simulate
from edgefn.simulate.scenario import Scenario

OnShare = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One run that is to be made.

    Attributes:
        scenario: What happens.
        policy: Who decides, the production router, or a baseline by its name.
        queue: How replicas queue.
        seed: Of all random numbers.
        load: The workload's rate is multiplied by it.
    """

    scenario: Scenario
    policy: str = PRODUCTION
    queue: QueueKind = "edf"
    seed: int = 1
    load: float = 1.0


def carry_out(setup: Setup, on_share: OnShare = lambda share: None) -> RunResult:
    """Makes a run.

    Args:
        setup: Which one.
        on_share: Called now and then with the share of it that is done.

    Raises:
        ConfigError: A trace of the scenario cannot be read.
    """
    duration_s = setup.scenario.duration_s
    return simulate(
        setup.scenario,
        policy=setup.policy,
        queue=setup.queue,
        seed=setup.seed,
        load=setup.load,
        progress=lambda now_s: on_share(min(now_s / duration_s, 1.0)),
    )


def carry_out_all(
    setups: Sequence[Setup], *, on_share: OnShare = lambda share: None
) -> list[RunResult]:
    """Makes runs, as many at the same time as there are cores, and returns results in their order.

    Args:
        setups: Which ones.
        on_share: Called now and then with the share of all that is done.

    Raises:
        ConfigError: A trace of a scenario cannot be read.
    """
    processes = min(len(os.sched_getaffinity(0)), len(setups))
    if processes <= 1:
        return [
            carry_out(setup, partial(_tell_part, on_share, done, len(setups)))
            for done, setup in enumerate(setups)
        ]
    # Spawned: this process may have threads, and a fork would copy their locks.
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_end_on_interrupt) as pool:
        waiting = {
            pool.submit(_carry_out_there, setup): index for index, setup in enumerate(setups)
        }
        results: dict[int, RunResult] = {}
        try:
            for future in as_completed(waiting):
                results[waiting[future]] = msgspec.msgpack.decode(future.result(), type=RunResult)
                on_share(len(results) / len(setups))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[index] for index in range(len(setups))]


def _tell_part(on_share: OnShare, done: int, of: int, share: float) -> None:
    on_share((done + share) / of)


def _carry_out_there(setup: Setup) -> bytes:
    return msgspec.msgpack.encode(carry_out(setup))


def _end_on_interrupt() -> None:
    """Lets Ctrl-C, which reaches all processes of a terminal, end this one without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
