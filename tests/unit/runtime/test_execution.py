"""How a batch is answered, driven without a function: the test says how each run ended."""

import msgspec
import numpy as np
import pytest

from edgefn_runtime.errors import ErrorBody, FunctionFailed, InvalidInput, TimedOut
from edgefn_runtime.execution import Ended, Execution, confidence_of
from edgefn_runtime.model import ModelRunFailed
from edgefn_runtime.tracebacks import MAX_LINE_CHARS
from edgefn_runtime.wire import (
    MAX_BODY_BYTES,
    NO_CONFIDENCE,
    Call,
    CallHead,
    Content,
    Outcome,
    pack_confidence,
)


class FakeCodec:
    """A body is the value of `x`; an answer's body is its text."""

    def decode(self, call, signature):
        if call.body == b"bad":
            raise InvalidInput("not decoded", path="x")
        return {"x": call.body.decode()}

    def encode(self, payload, call, signature):
        return Content.JSON, 0, str(payload).encode()


class FakeSignature:
    """Refuses the value `misfit`; promises not to answer `wrong`."""

    name = "f"

    def bind(self, fields):
        if fields["x"] == "misfit":
            raise InvalidInput("does not fit", path="x")
        return dict(fields)

    def dump(self, result):
        if isinstance(result, str) and result == "wrong":
            raise FunctionFailed("f returned what its annotation does not promise")
        return result


def call(body: str, number: int = 1, request_id: str = "") -> Call:
    head = msgspec.msgpack.encode(CallHead(request_id=request_id)) if request_id else b""
    return Call(number, Content.JSON, Content.JSON, 0, 0, head, body.encode())


class Bench:
    """Answers calls with a function that is run here."""

    def __init__(self, function, *, batched=False):
        self.reported = []
        self.runs = []
        self._function = function
        self._execution = Execution(
            FakeSignature(),
            FakeCodec(),
            batched=batched,
            report=lambda request_id, error: self.reported.append((request_id, error)),
        )

    def answers(self, *calls):
        """Returns the text of each result, or the ErrorBody."""
        steps = self._execution.steps(list(calls))
        try:
            arguments = next(steps)
            while True:
                self.runs.append(arguments)
                try:
                    ended = Ended(self._function(**arguments))
                except BaseException as error:
                    ended = Ended(None, error)
                arguments = steps.send(ended)
        except StopIteration as done:
            return [self._value(answer) for answer in done.value]

    def _value(self, answer):
        if answer.outcome == Outcome.ERROR:
            return msgspec.msgpack.decode(answer.body, type=ErrorBody)
        return answer.body.decode()


def upper(x):
    """A batched function that answers in capitals, fails on `boom` and refuses `no`."""
    if "boom" in x:
        raise ValueError("boom in the batch")
    if "no" in x:
        raise InvalidInput("no is no input")
    return [each.upper() for each in x]


def test_single_calls_run_one_by_one():
    """An unbatched function gets the arguments of one call at a time."""
    bench = Bench(lambda x: x.upper())
    assert bench.answers(call("a"), call("b")) == ["A", "B"]
    assert bench.runs == [{"x": "a"}, {"x": "b"}]


def test_a_batch_runs_once():
    """A batched function gets the list of all values in one run."""
    bench = Bench(upper, batched=True)
    assert bench.answers(call("a"), call("b"), call("c")) == ["A", "B", "C"]
    assert bench.runs == [{"x": ["a", "b", "c"]}]


def test_a_bad_body_fails_alone_and_before_the_run():
    """Calls that do not decode or do not fit are refused; the others run together."""
    bench = Bench(upper, batched=True)
    answers = bench.answers(call("bad"), call("a"), call("misfit"), call("b"))
    assert [getattr(answer, "code", answer) for answer in answers] == [
        "invalid_input", "A", "invalid_input", "B",
    ]  # fmt: skip
    assert bench.runs == [{"x": ["a", "b"]}]
    assert bench.reported == []


def test_a_failing_call_does_not_fail_its_neighbours():
    """After an exception the calls of a batch are run one by one, and only the guilty fail."""
    bench = Bench(upper, batched=True)
    answers = bench.answers(call("a"), call("boom", request_id="guilty"), call("no"), call("b"))
    assert [answers[0], answers[3]] == ["A", "B"]
    assert (answers[1].code, answers[1].message) == (
        "function_failed", "ValueError: boom in the batch",
    )  # fmt: skip
    assert (answers[2].code, answers[2].message) == ("invalid_input", "no is no input")
    assert [request_id for request_id, _ in bench.reported] == ["guilty"]


def test_a_run_that_timed_out_is_not_run_again():
    """A timeout fails all calls of its batch: one by one they would take as long again, each."""

    def slow(x):
        raise TimedOut("longer than 1 s")

    bench = Bench(slow, batched=True)
    answers = bench.answers(call("a"), call("b"))
    assert [answer.code for answer in answers] == ["timed_out", "timed_out"]
    assert len(bench.runs) == 1


@pytest.mark.parametrize(
    ("returned", "said"),
    [(["A"], "1 results for 2 calls"), ("AB", "not a str"), (None, "not a NoneType")],
)
def test_a_batched_function_returns_one_result_a_call(returned, said):
    """A wrong number of results, or something that is no list, fails all calls and says so."""
    bench = Bench(lambda x: returned, batched=True)
    answers = bench.answers(call("a"), call("b"))
    assert all(answer.code == "function_failed" and said in answer.message for answer in answers)
    assert len(bench.runs) == 1


def test_an_array_is_a_list_of_results():
    """A batched function may return an array: one row a call."""
    bench = Bench(lambda x: np.arange(len(x)), batched=True)
    assert bench.answers(call("a"), call("b")) == ["0", "1"]


def test_an_answer_that_breaks_its_promise_fails_alone():
    """What a function returned is checked call by call."""
    bench = Bench(lambda x: ["A", "wrong"], batched=True)
    answers = bench.answers(call("a"), call("b"))
    assert answers[0] == "A"
    assert answers[1].code == "function_failed"


def test_too_large_an_answer_fails():
    """An answer that no frame can carry is the function's failure, with both sizes."""
    bench = Bench(lambda x: "x" * (MAX_BODY_BYTES + 1))
    (answer,) = bench.answers(call("a"))
    assert answer.code == "function_failed"
    assert str(MAX_BODY_BYTES + 1) in answer.message


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (KeyError("k"), "KeyError: 'k'"),
        (ValueError(), "ValueError"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (StopIteration("x"), "StopIteration: x"),
        (ModelRunFailed("input 'x'"), "ModelRunFailed: input 'x'"),
        (Unprintable(), "Unprintable"),
        (ValueError("\ud800"), "ValueError: ?"),
        (ValueError("y" * 9999), "ValueError: " + "y" * MAX_LINE_CHARS + "..."),
    ],
)
def test_an_exception_is_told_by_type_and_message(raised, message):
    """Whatever a function raises, the caller is told what, never where."""

    def fails(x):
        raise raised

    (answer,) = Bench(fails).answers(call("a"))
    assert (answer.code, answer.message) == ("function_failed", message)


class Careless(InvalidInput):
    """A user's own class, without what ours have."""

    code = "mine"

    def __init__(self, reading):
        self.reading = reading

    def __str__(self):
        return f"a reading of {self.reading}"


@pytest.mark.parametrize(
    ("raised", "body"),
    [
        (InvalidInput("wrong", path="x"), ErrorBody("invalid_input", "wrong", {"path": "x"})),
        (InvalidInput("wrong", what=object()), ErrorBody("invalid_input", "wrong")),
        (InvalidInput("wrong", what={1: 2}), ErrorBody("invalid_input", "wrong", {"what": {1: 2}})),
        (InvalidInput("wrong", what="x" * 99999), ErrorBody("invalid_input", "wrong")),
        (InvalidInput(17), ErrorBody("invalid_input", "17")),
        (Careless(3), ErrorBody("invalid_input", "a reading of 3")),
    ],
)
def test_a_function_may_refuse_its_input(raised, body):
    """A function's InvalidInput is passed on, without details that cannot travel."""

    def fails(x):
        raise raised

    bench = Bench(fails)
    assert bench.answers(call("a")) == [body]
    assert bench.reported == []


def test_a_log_that_fails_costs_no_answer():
    """If the failure cannot be logged, the caller is told all the same."""

    def fails(x):
        raise ValueError("the fault")

    bench = Bench(fails)
    bench.reported = None
    assert [answer.message for answer in bench.answers(call("a"))] == ["ValueError: the fault"]


def test_calls_without_a_request_id_are_reported_by_number():
    """The log names a call by its request's id, else by the frame's."""

    def fails(x):
        raise ValueError

    bench = Bench(fails)
    bench.answers(call("a", 7), call("b", 8, request_id="r-8"))
    assert [request_id for request_id, _ in bench.reported] == ["#7", "r-8"]


@pytest.mark.parametrize(
    ("payload", "confidence"),
    [
        ({"confidence": 0.5, "probability": 0.9}, pack_confidence(0.5)),
        ({"probability": 1}, pack_confidence(1.0)),
        ({"confidence": float("nan")}, 0),
        ({"confidence": None}, NO_CONFIDENCE),
        ({"label": "fire"}, NO_CONFIDENCE),
        (0.5, NO_CONFIDENCE),
    ],
)
def test_an_answer_says_how_sure_it_is(payload, confidence):
    """By the field of that name; what is no number counts as doubt."""
    assert confidence_of(payload) == confidence
