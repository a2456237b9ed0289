"""Functions called as a replica calls them, and what their models note."""

import numpy as np
import pytest

from edgefn import InvalidInput, Model, edge_function
from edgefn.compress.errors import EvaluationFailed
from edgefn.compress.evaluation.calls import Calls
from edgefn.compress.evaluation.tape import Tape, TapedModel
from edgefn_runtime.model import TensorInfo


class Doubling(Model):
    """Doubles what it gets, in place."""

    inputs = (TensorInfo("x", "float32", ("n",)),)
    outputs = inputs

    def run(self, arrays):
        arrays[0] *= 2
        return [arrays[0]]


def rows(*values):
    return [{"x": value} for value in values]


def test_one_bad_row_of_a_batch_costs_the_others_nothing():
    """A run that raises is repeated row by row; a refused row is an answer of its own."""
    batches = []

    @edge_function(batch=8)
    def f(x: list[int]) -> list[int]:
        batches.append(x)
        if 3 in x:
            raise InvalidInput("no threes")
        return [-each for each in x]

    with Calls(f, {}) as calls:
        assert [answer.dumped for answer in calls.answer(rows(1, 2))] == [-1, -2]
        answers = calls.answer(rows(1, "two", 3))
    assert [answer.value for answer in answers] == [-1, None, None]
    assert answers[1].refused.startswith("x: ") and answers[2].refused == "no threes"
    assert batches == [[1, 2], [1, 3], [1], [3]]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: 1 // 0, "the function raises ZeroDivisionError"),
        (lambda x: "text", "f returned what its annotation does not promise"),
    ],
)
def test_a_function_that_fails_is_no_answer(answer, message):
    """Whether it raises or returns something else."""

    @edge_function
    def f(x: int) -> int:
        return answer(x)

    with pytest.raises(EvaluationFailed, match=message), Calls(f, {}) as calls:
        calls.answer(rows(1))


def test_a_batch_is_answered_with_as_many_results():
    """Another number is the function's mistake."""

    @edge_function(batch=4)
    def f(x: list[int]) -> list[int]:
        return [*x, 0]

    with pytest.raises(EvaluationFailed, match="answered with 2 results"), Calls(f, {}) as calls:
        calls.answer(rows(1, 2))


def test_coroutine_functions_share_one_loop():
    """As in a replica."""
    import asyncio

    loops = set()

    @edge_function
    async def f(x: int) -> int:
        loops.add(id(asyncio.get_running_loop()))
        return x

    with Calls(f, {}) as calls:
        assert [answer.value for answer in calls.answer(rows(1, 2))] == [1, 2]
    assert len(loops) == 1


def test_a_tape_keeps_what_was_there_before_the_run():
    """Though a model or its caller goes on writing into the arrays."""
    tape = Tape(limit_bytes=1000, keep_inputs=True)
    model = TapedModel(Doubling(), tape)
    tape.next_step()
    given = np.ones(2, np.float32)
    answered = model(given)
    answered += 100
    (run,) = tape.steps[0]
    assert run.inputs[0].tolist() == [1, 1]
    assert run.outputs[0].tolist() == [2, 2]


def test_a_full_tape_notes_nothing_more():
    """Runs that are on it stay; the model runs on."""
    tape = Tape(limit_bytes=20, keep_inputs=False)
    model = TapedModel(Doubling(), tape)
    for _ in range(5):
        tape.next_step()
        model(np.ones(3, np.float32))
    assert tape.is_full
    assert [len(step) for step in tape.steps] == [1, 1]
    assert tape.outputs()[0][0][0].tolist() == [2, 2, 2]
