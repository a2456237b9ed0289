"""Profiles of devices."""

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from edgefn.compress.device.machine import isa_of, measured_score, this_device
from edgefn.compress.device.profile import Device, Goal, load_device, to_toml
from edgefn.compress.device.reference_network import INPUT_SHAPE, reference_network
from edgefn.errors import ConfigError
from edgefn_runtime.backends import load_model
from edgefn_runtime.variant import Latency

BOARD = Device(
    name="board",
    cores=4,
    isa=("asimd", "asimddp"),
    memory_bytes=1 << 30,
    backends={"litert": "2.3.0"},
    score=100.0,
)


def test_a_profile_is_read_as_it_was_printed(tmp_path: Path) -> None:
    """What one machine prints another can build for."""
    path = tmp_path / "board.toml"
    path.write_text(to_toml(BOARD))
    assert load_device(path) == BOARD


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("cores = 4", "cores = 0"), "cores"),
        (("cores = 4", "cpus = 4"), "cpus"),
        (("score = 100.0", "score = -1"), "score"),
        (("score = 100.0", "score = nan"), "score"),
        (("score = 100.0", "score = inf"), "score"),
        (("score = 100.0", "score = 1e-9"), "score"),
        (('name = "board"', r'name = "board\n"'), "name"),
        (('name = "board"', 'name = "../board"'), "name"),
        (("memory_bytes = 1073741824", ""), "memory_bytes"),
        (("cores = 4", "cores = "), "line 2"),
    ],
)
def test_a_wrong_profile_is_refused_by_file_and_field(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    """And says how to get a right one."""
    path = tmp_path / "board.toml"
    path.write_text(to_toml(BOARD).replace(*change))
    with pytest.raises(ConfigError) as caught:
        load_device(path)
    assert str(path) in caught.value.message
    assert expected in caught.value.message
    assert "edgefn device" in caught.value.message


def test_a_profile_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """By its path."""
    with pytest.raises(ConfigError, match="nowhere.toml: cannot be read"):
        load_device(tmp_path / "nowhere.toml")


def test_this_machine_has_what_it_is_asked_for() -> None:
    """Its profile is a valid one."""
    device = this_device("here", score=1.0)
    assert device.cores >= 1
    assert "onnx" in device.backends
    assert device.lacks("onnx") == ""


def test_what_a_device_lacks_is_named() -> None:
    """Backends, and memory."""
    assert BOARD.lacks("litert", 1 << 20) == ""
    assert BOARD.lacks("onnx+litert") == "the device board has no backend onnx"
    assert "more than the memory of the device board" in BOARD.lacks("litert", 1 << 31)


def test_latencies_are_scaled_to_another_device_only() -> None:
    """By the ratio of the scores; those of the machine itself are as measured."""
    here = Device(name="here", cores=1, memory_bytes=1, backends={}, score=200.0)
    measured = [Latency(batch=1, p50_s=0.5, p95_s=1.0)]
    assert Goal(device=here, here=here).latencies(measured) == tuple(measured)
    predicted = Goal(device=BOARD, here=here)
    assert predicted.is_predicted
    assert predicted.latencies(measured) == (Latency(batch=1, p50_s=1.0, p95_s=2.0),)


@pytest.mark.parametrize(
    ("change", "predicted"),
    [
        ({"cores": 8}, True),
        ({"isa": ("asimd",)}, True),
        ({"backends": {"litert": "2.4.0"}}, True),
        ({"isa": ("asimddp", "asimd"), "score": 103.0}, False),
    ],
)
def test_a_name_alone_does_not_make_two_machines_one(
    change: dict[str, Any], predicted: bool
) -> None:
    """What decides their speed has to agree; a score is never quite the same twice."""
    goal = Goal(device=BOARD, here=replace(BOARD, **change))
    assert goal.is_predicted is predicted


def test_instruction_sets_are_those_of_the_first_core() -> None:
    """On x86 and on Arm; whatever else the kernel lists is left out."""
    assert isa_of("flags\t\t: fpu avx2 avx512_vnni\n\nflags\t: fpu\n") == ("avx2", "avx512_vnni")
    assert isa_of("Features\t: fp asimd asimddp\n") == ("asimd", "asimddp")
    assert isa_of("") == ()


def test_the_score_is_of_the_best_round() -> None:
    """Runs a second, by the clock that is handed in."""
    ticks = count(step=0.0625)
    assert measured_score(lambda: next(ticks)) == 8.0


def test_the_reference_network_runs_and_keeps_its_activations_small() -> None:
    """Denormal or infinite activations would make it measure something else."""
    model = load_model(reference_network(), "reference.onnx")
    (answer,) = model.run([np.full(INPUT_SHAPE, 0.5, np.float32)])
    assert answer.shape == (1, 256)
    assert 0.1 < answer.min() <= answer.max() <= 0.5
