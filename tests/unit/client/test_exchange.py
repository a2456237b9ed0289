"""When a call is sent again, with a clock in the test's hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.client.answer import Answer
from edgefn.client.errors import ConnectionLost, Unreachable
from edgefn.client.exchange import GRACE_S, MAX_ATTEMPTS, Again, Exchange, Limits
from edgefn.client.request import Request
from edgefn.errors import DeadlineExceeded, InvalidInput, QueueFull, TimedOut

REQUEST = Request("/v1/functions/f", "application/json", "application/json", b"{}")
REFUSED = b'{"error":{"code":"queue_full","message":"full","detail":{}},"request_id":""}'


def exchange(now_s: float = 100.0, jitter: float = 0.5, **limits: Any) -> Exchange:
    return Exchange("http://box", REQUEST, Limits(**limits), now_s=now_s, jitter=jitter)


def refuse(call: Exchange, now_s: float, retry_after: str | None, status: int = 429) -> Any:
    headers = {"content-type": "application/json"}
    if retry_after is not None:
        headers["retry-after"] = retry_after
    return call.answered(now_s, status, headers, REFUSED)


def test_an_answer_ends_the_call_and_counts_from_its_start() -> None:
    """Time lost in earlier attempts is part of what the caller waited."""
    call = exchange()
    assert call.failed(100.01, Unreachable("refused")) == Again(pause_s=0.05)
    answer = call.answered(100.25, 200, {"content-type": "application/json"}, b"1")
    assert isinstance(answer, Answer)
    assert answer.elapsed_ms == pytest.approx(250.0)


def test_the_time_left_travels_and_not_the_deadline() -> None:
    """A second attempt has a smaller budget; a call without a deadline names none."""
    call = exchange(deadline_ms=80)
    assert call.headers(100.0)["Edgefn-Deadline-Ms"] == "80.000"
    assert call.headers(100.03)["Edgefn-Deadline-Ms"] == "50.000"
    assert float(call.headers(100.2)["Edgefn-Deadline-Ms"]) > 0
    assert "Edgefn-Deadline-Ms" not in exchange().headers(100.0)


def test_what_may_run_twice_and_what_is_urgent_is_said_to_the_box() -> None:
    """Every attempt of one call shows the same key, those of another call another one."""
    call = exchange(idempotent=True, priority=9)
    assert call.headers(100.0)["Edgefn-Priority"] == "9"
    assert call.headers(100.0)["Idempotency-Key"] == call.headers(101.0)["Idempotency-Key"]
    other = exchange(idempotent=True, jitter=0.25)
    assert other.headers(100.0)["Idempotency-Key"] != call.headers(100.0)["Idempotency-Key"]
    assert not {"Edgefn-Priority", "Idempotency-Key"} & exchange().headers(100.0).keys()


@pytest.mark.parametrize("priority", [-1, 10, 2.5])
def test_a_priority_that_is_none_is_refused(priority: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidInput, match="whole number from 0 to 9"):
        exchange(priority=priority)


def test_the_client_waits_a_little_longer_than_the_deadline() -> None:
    """The box answers at the deadline; without one the client's own limit holds."""
    assert exchange(deadline_ms=80).timeout_s(100.03) == pytest.approx(0.05 + GRACE_S)
    assert exchange(timeout_s=7).timeout_s(101.0) == pytest.approx(6.0)
    assert isinstance(exchange(deadline_ms=80).timed_out(), DeadlineExceeded)
    assert isinstance(exchange(timeout_s=7).timed_out(), TimedOut)


def test_a_call_that_was_never_sent_is_tried_again_with_growing_pauses() -> None:
    """Up to a bound, and jitter spreads the pauses of many clients."""
    call, pauses = exchange(), []
    for _ in range(MAX_ATTEMPTS - 1):
        pauses.append(call.failed(100.0, Unreachable("refused")).pause_s)
    assert pauses == [0.05, 0.1, 0.2]
    with pytest.raises(Unreachable):
        call.failed(100.0, Unreachable("refused"))
    early, late = (exchange(jitter=jitter) for jitter in (0.0, 1.0))
    assert early.failed(100.0, Unreachable("")) != late.failed(100.0, Unreachable(""))


def test_a_call_that_may_have_run_is_never_sent_again_by_itself() -> None:
    """Only a caller can know that it may run twice."""
    with pytest.raises(ConnectionLost):
        exchange().failed(100.0, ConnectionLost("reset"))
    assert isinstance(exchange(idempotent=True).failed(100.0, ConnectionLost("reset")), Again)


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_is_retried_when_the_box_says_so(status: int) -> None:
    """Without a deadline a short pause is taken as told."""
    assert refuse(exchange(), 100.0, "1", status) == Again(pause_s=1.0)


@pytest.mark.parametrize(
    "retry_after", [None, "", "60", "-1", "inf", "nan", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"]
)
def test_a_refusal_without_a_usable_hint_is_final(retry_after: str | None) -> None:
    """No hint, a long one, or one that is none: the caller hears of it."""
    with pytest.raises(QueueFull):
        refuse(exchange(), 100.0, retry_after)


def test_a_refusal_is_final_when_the_deadline_would_pass() -> None:
    """A pause that ends after the deadline is never taken."""
    assert refuse(exchange(deadline_ms=1500), 100.2, "1") == Again(pause_s=1.0)
    with pytest.raises(QueueFull):
        refuse(exchange(deadline_ms=1500), 100.6, "1")


def test_other_errors_are_final() -> None:
    """What ran and failed is not run again."""
    body = b'{"error":{"code":"deadline_exceeded","message":"late","detail":{}}}'
    with pytest.raises(DeadlineExceeded):
        exchange().answered(100.0, 504, {"content-type": "application/json"}, body)


@pytest.mark.parametrize("deadline_ms", [0, -1, float("nan"), float("inf")])
def test_a_deadline_is_a_positive_number(deadline_ms: float) -> None:
    """Anything else is refused before a byte is sent."""
    with pytest.raises(InvalidInput, match="not a positive number"):
        exchange(deadline_ms=deadline_ms)


@given(
    deadline_ms=st.floats(0.1, 10_000),
    jitter=st.floats(0, 1),
    steps=st.lists(st.tuples(st.floats(0, 3), st.sampled_from(["unsent", "lost", "refused"]))),
)
def test_no_attempt_begins_after_the_deadline_and_attempts_are_bounded(
    deadline_ms: float, jitter: float, steps: list[tuple[float, str]]
) -> None:
    """Whatever happens, in whatever order."""
    call = exchange(jitter=jitter, deadline_ms=deadline_ms, idempotent=True)
    now_s, attempts = 100.0, 0
    for took_s, kind in steps:
        attempts += 1
        now_s += took_s
        try:
            if kind == "refused":
                outcome = refuse(call, now_s, "0.5")
            else:
                error = Unreachable("") if kind == "unsent" else ConnectionLost("")
                outcome = call.failed(now_s, error)
        except (Unreachable, ConnectionLost, QueueFull):
            break
        now_s += outcome.pause_s
        assert now_s < 100.0 + deadline_ms / 1000
    assert attempts <= MAX_ATTEMPTS


def test_what_is_asked_of_the_variant_travels() -> None:
    """And nothing where nothing is asked."""
    headers = exchange(variant="onnx-int8-static", min_accuracy=0.975).headers(100.0)
    assert headers["Edgefn-Variant"] == "onnx-int8-static"
    assert headers["Edgefn-Min-Accuracy"] == "0.975"
    assert not {"Edgefn-Variant", "Edgefn-Min-Accuracy"} & exchange().headers(100.0).keys()


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"variant": "No Such\r\nName"}, "cannot be the name of a variant"),
        ({"variant": "onnx\n"}, "cannot be the name of a variant"),
        ({"min_accuracy": 1.5}, "min_accuracy=1.5 is not a number from 0 to 1"),
        ({"min_accuracy": float("nan")}, "min_accuracy=nan is not a number from 0 to 1"),
    ],
)
def test_what_can_be_no_variant_is_not_sent(limits: dict[str, Any], told: str) -> None:
    """Least of all a second header."""
    with pytest.raises(InvalidInput, match=told):
        exchange(**limits)
