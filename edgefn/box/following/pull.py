"""Asks the hub again and again what it wants, and tells it how things are here."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from edgefn.box.following.hub import Hub
from edgefn.desired.errors import HubRefuses, HubUnreachable
from edgefn.desired.report import REPORT_S, BoxReport
from edgefn.desired.state import DesiredState
from edgefn.errors import EdgefnError

AT_LEAST_S: Final = 1.0  # between two pulls without news, and between two reports
_BACKOFF_S: Final = 0.2  # doubled after each failure
_LONGEST_BACKOFF_S: Final = 15.0

_log = logging.getLogger(__name__)


async def keep_pulling(
    hub: Hub,
    known: Callable[[], DesiredState | None],
    take: Callable[[DesiredState], Awaitable[None]],
) -> None:
    """Hands on what the hub wants whenever that changes, until cancelled.

    Args:
        hub: To ask. Nobody else uses it.
        known: Returns what it wanted last.
        take: Awaited with what it wants now.
    """
    failures, reason = 0, ""
    while True:
        asked_s = time.monotonic()
        try:
            before = known()
            state = await hub.desired(before)
            if state is not None and not _is_same(state, before):
                await take(state)
            elif time.monotonic() - asked_s < AT_LEAST_S:  # it is about to end, for example
                await asyncio.sleep(AT_LEAST_S)
        except EdgefnError as error:
            failures += 1
            if error.message != reason:
                reason = error.message
                _log.warning("%s; the box goes on with what it knows", reason)
            await asyncio.sleep(pause_s(failures, random.random()))
        except Exception:
            failures += 1
            _log.exception("asking the hub stumbled; it goes on")
            await asyncio.sleep(pause_s(failures, random.random()))
        else:
            if failures:
                _log.info("the hub answers again")
            failures, reason = 0, ""


async def keep_reporting(hub: Hub, report: Callable[[], BoxReport]) -> None:
    """Tells the hub of this box after each change, and every `REPORT_S`, until cancelled.

    That the hub does not answer is said by who asks it; that it refuses a report, here.

    Args:
        hub: To tell. Nobody else uses it.
        report: Returns what there is to tell now.
    """
    told: BoxReport | None = None
    told_s, failures, refused = 0.0, 0, ""
    while True:
        try:
            now = report()
            essence, now_s = _essence(now), time.monotonic()
            if essence != told or now_s - told_s >= REPORT_S:
                await hub.report(now)
                told, told_s = essence, now_s
            failures, refused = 0, ""
        except (HubUnreachable, HubRefuses) as error:
            told, failures = None, failures + 1
            if isinstance(error, HubRefuses) and error.message != refused:
                refused = error.message
                _log.warning("what this box reports: %s", refused)
        except Exception:
            _log.exception("reporting to the hub stumbled; it goes on")
        wait_s = pause_s(failures, random.random()) if failures else 0.0
        await asyncio.sleep(max(AT_LEAST_S, wait_s))


def pause_s(failures: int, chance: float) -> float:
    """Returns how long to wait after so many failures, `chance` being uniform in [0, 1).

    Half of it is left to chance: the boxes of a hub that was away must not return in step.
    """
    return float(
        min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2.0 ** min(failures - 1, 10)) * (0.5 + chance)
    )


def _is_same(state: DesiredState, known: DesiredState | None) -> bool:
    return known is not None and (state.epoch, state.revision) == (known.epoch, known.revision)


def _essence(report: BoxReport) -> BoxReport:
    """Returns a report without what changes with every call."""
    replace = msgspec.structs.replace
    return replace(
        report,
        functions=tuple(replace(one, calls=0, misses=0) for one in report.functions),
        links=tuple(replace(one, rtt_s=0.0) for one in report.links),
    )
