"""Picks the endpoint of the greatest expected worth: the inner loop of the router.

A call's time is the sum of independent legs, whose means and variances add up, and is taken as
normal; the calibration makes up for what it is not. Candidates come in order of what they can be
worth at best, so that the search ends at the first one that cannot win any more.

Written out flat: a function call or an object for each candidate would cost as much as the
arithmetic. `Endpoint.prepare` has the same sum for the one that is chosen, and a test holds them
together.
"""

from collections.abc import Sequence
from math import erfc, inf, sqrt
from typing import Final

from edgefn.routing.endpoint import Endpoint
from edgefn.routing.server import LATE_S

HOPELESS: Final = 0.01  # below this probability of an answer in time, a call is not sent
HOPELESS_SDS: Final = -2.33
_SQRT_HALF: Final = 0.7071067811865476
WAIT_TOLL: Final = 3.0  # of waiting a second: others come who have less time
FRESH_HANDICAP: Final = 0.05  # of more calls than a server is trusted with that has just started


def best_in_time(
    candidates: Sequence[Endpoint],
    now_s: float,
    budget_s: float,
    size_bytes: int,
    least_sds: float = HOPELESS_SDS,
) -> tuple[Endpoint | None, float, Endpoint | None]:
    """Returns the best endpoint for a call that has `budget_s` left.

    Args:
        candidates: In falling order of `top`.
        now_s: Now.
        budget_s: Finite.
        size_bytes: Of the call.
        least_sds: By so many standard deviations its time must fit the budget where it has to wait.

    Returns:
        The endpoint and its score, if any has a chance; and the one that is nearest to one, if
        none has.
    """
    best, best_score = None, -inf
    nearest, nearest_sds = None, -inf
    for one in candidates:
        if one.top <= best_score:
            break
        if one.shut:
            continue
        path, server = one.path, one.server
        wait_s = server.free_s - now_s
        if not one.here:
            if path.looked_s != now_s:
                path.look(now_s)
            if wait_s < 0.0:
                wait_s = 0.0
        elif wait_s < 0.0:
            wait_s = -wait_s if server.outstanding and -wait_s > LATE_S else 0.0
        calibration = one.calibration
        wait_s *= calibration.wait_share
        if one.top - WAIT_TOLL * wait_s <= best_score:
            continue  # even if it is certain to be in time
        service = one.service
        slowness = server.slowness
        run_s = (service.fixed_s + service.each_s * server.batch) * slowness
        slack_s = budget_s - (
            path.base_s + path.each_s * size_bytes * one.bytes_factor + one.ahead_s + wait_s + run_s
        )
        noise_s = service.cv * run_s
        scale = calibration.scale
        variance = (path.variance + 0.0625 * wait_s * wait_s + noise_s * noise_s) * scale * scale
        if slack_s > 0.0 and slack_s * slack_s > 16.0 * variance:
            score = one.worth - one.toll
        else:
            sds = slack_s / sqrt(variance)
            if sds < (least_sds if wait_s > 0.0 else HOPELESS_SDS):
                if best is None and sds > nearest_sds:
                    nearest, nearest_sds = one, sds
                continue
            score = 0.5 * erfc(-_SQRT_HALF * sds) * one.worth - one.toll
        if wait_s > 0.0:
            score -= WAIT_TOLL * wait_s
        if price := one.pool.price:
            score -= price * (service.fixed_s / server.batch + service.each_s) * slowness
        if server.outstanding >= server.trusted:
            score -= FRESH_HANDICAP
        if score > best_score:
            best, best_score = one, score
    return best, best_score, nearest


def best_without_deadline(
    candidates: Sequence[Endpoint], now_s: float, size_bytes: int, patience_s: float
) -> tuple[Endpoint | None, float]:
    """Returns the best endpoint for a call that may take as long as it takes, and its score.

    Args:
        candidates: In falling order of `top`.
        now_s: Now.
        size_bytes: Of the call.
        patience_s: A wait so long takes away as much as a worth of 1.
    """
    best, best_score = None, -inf
    for one in candidates:
        if one.top <= best_score:
            break
        path, server, service = one.path, one.server, one.service
        if not one.here and path.looked_s != now_s:
            path.look(now_s)
        if one.shut or path.base_s == inf:
            continue
        run_s = (service.fixed_s + service.each_s * server.batch) * server.slowness
        time_s = (
            path.base_s
            + path.each_s * size_bytes * one.bytes_factor
            + one.ahead_s
            + one.wait_s(now_s)
            + run_s
        )
        score = one.worth - one.toll - one.second_choice - time_s / patience_s
        if server.outstanding >= server.trusted:
            score -= FRESH_HANDICAP
        if score > best_score:
            best, best_score = one, score
    return best, best_score
