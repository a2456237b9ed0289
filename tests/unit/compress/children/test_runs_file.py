"""Runs of models in files."""

from pathlib import Path

import numpy as np

from edgefn.compress.children.runs_file import read_runs, write_runs

RUNS = [
    ({"x": np.arange(3.0), "a/b": np.ones((1, 2))}, [np.ones(1), np.ones(2)]),
    ({"x": np.zeros(3), "a/b": np.zeros(2)}, [np.zeros(1), np.zeros(2)]),
    ({}, [np.ones(1)]),
]


def test_runs_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Names of inputs may be any, and the order of outputs is kept."""
    write_runs(tmp_path / "m", RUNS)
    found = zip(*read_runs(tmp_path / "m", len(RUNS)), strict=True)
    for (inputs, outputs), (expected, wanted) in zip(found, RUNS, strict=True):
        assert list(inputs) == list(expected)
        assert all((inputs[name] == expected[name]).all() for name in expected)
        assert [each.tolist() for each in outputs] == [each.tolist() for each in wanted]
