"""Latencies of models on captured inputs."""

import numpy as np
import pytest

from edgefn_runtime.lifecycle import Measure
from edgefn_runtime.measuring import Measuring, private_bytes, read_inputs, stack
from edgefn_runtime.model import Model, ModelRunFailed, TensorInfo


class Picky(Model):
    """Takes only batches of some sizes, and notes what it got."""

    def __init__(self, *sizes: int) -> None:
        self.inputs = (TensorInfo("x", "float32", ("n", 2)),)
        self.outputs = self.inputs
        self.sizes = sizes
        self.seen: list[np.ndarray] = []

    def run(self, arrays):
        if len(arrays[0]) not in self.sizes:
            raise ModelRunFailed(f"a batch of {len(arrays[0])}")
        self.seen.append(arrays[0])
        return arrays


def asked(tmp_path, runs, **models) -> Measure:
    path = tmp_path / "m.npz"
    np.savez(path, **{f"{number}/x": array for number, array in enumerate(runs)})
    return Measure(inputs=dict.fromkeys(models, str(path)), batches=(1, 2, 4), slice_s=0.0)


def test_batches_that_a_model_refuses_are_left_out(tmp_path):
    """Of several models, those that one of them refuses; durations add up."""
    first, second = Picky(1, 2, 4), Picky(1, 4)
    runs = [np.full((1, 2), number, np.float32) for number in range(3)]
    measured = Measuring({"a": first, "b": second}, 0.25).measure(
        asked(tmp_path, runs, a=first, b=second)
    )
    assert [latency.batch for latency in measured.latencies] == [1, 4]
    assert all(0 < latency.p50_s <= latency.p95_s for latency in measured.latencies)
    assert measured.load_s == 0.25
    assert second.seen[-1][:, 0].tolist() == [0, 1, 2, 0]


def test_where_all_are_refused_inputs_are_taken_as_they_are(tmp_path):
    """A model with a fixed batch is measured with just that; one that refuses it is refused."""
    runs = [np.zeros((3, 2), np.float32)] * 2
    measured = Measuring({"a": Picky(3)}, 0.0).measure(asked(tmp_path, runs, a=None))
    assert [latency.batch for latency in measured.latencies] == [3]
    with pytest.raises(ModelRunFailed, match="a batch of 3"):
        Measuring({"a": Picky(7)}, 0.0).measure(asked(tmp_path, runs, a=None))


def test_nothing_to_run_is_still_an_answer():
    """How long the models took to load, and the memory."""
    nothing = Measure(inputs={}, batches=(), slice_s=0.0)
    measured = Measuring({}, 0.5).measure(nothing)
    assert (measured.latencies, measured.load_s) == ((), 0.5)
    assert measured.private_bytes > 0 and private_bytes() > 0


def test_runs_are_read_in_order(tmp_path):
    """Of numbers, not of their digits; names may have slashes."""
    path = tmp_path / "m.npz"
    np.savez(path, **{f"{number}/a/b": np.array(number) for number in range(12)})
    assert [int(run["a/b"]) for run in read_inputs(str(path))] == list(range(12))


def test_inputs_are_stacked_by_turns():
    """Where they agree on the rows; runs of another shape than the first are left out."""
    one, other = np.ones((1, 2)), np.zeros((2, 3))
    assert stack([{"x": one}, {"x": other}], 3)["x"].tolist() == [[1, 1]] * 3
    assert stack([{"x": one, "s": np.array(1.0)}], 2) is None
    assert stack([{"x": one, "y": other}], 2) is None
