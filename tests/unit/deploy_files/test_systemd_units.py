"""The systemd unit and its drop-ins say what systemd understands and a box survives."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgefn.box import box
from edgefn.config import resolve

FOLDER = Path(__file__).parents[3] / "deploy" / "systemd"
UNIT = FOLDER / "edgefn.service"
ROLES = {
    "alone": (),
    "hub": ("hub.conf",),
    "joined": ("joined.conf",),
    "small": ("joined.conf", "small.conf"),
}
SECONDS = {"": 1, "s": 1, "min": 60}


def settings_of(path: Path) -> dict[str, list[str]]:
    """Returns the assignments of a file of systemd's, each name's in order."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def seconds(text: str) -> int:
    """Returns a time span of one unit."""
    match = re.fullmatch(r"(\d+)(\w*)", text)
    assert match is not None, text
    return int(match[1]) * SECONDS[match[2]]


def test_a_stop_leaves_time_to_drain() -> None:
    """Gateways and then replicas get what the box gives them, before systemd kills all."""
    unit = settings_of(UNIT)
    drains_s = 2 * box.DRAIN_S + box.GATEWAY_MARGIN_S
    assert seconds(unit["TimeoutStopSec"][0]) > drains_s + 10
    assert unit["KillMode"] == ["mixed"]  # only the box is asked: it drains its children itself


def test_a_box_is_waited_for_and_never_given_up() -> None:
    """It says when it is ready, and an unattended one starts again however often it must."""
    unit = settings_of(UNIT)
    assert unit["Type"] == ["notify"]
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]


@pytest.mark.parametrize("path", [UNIT, FOLDER / "box.env"], ids=lambda path: path.name)
def test_variables_are_settings_of_ours(path: Path) -> None:
    """One that starts with EDGEFN_ and is none would keep the box from starting."""
    found = settings_of(path)
    pairs = [pair for line in found.get("Environment", []) for pair in line.split()]
    pairs += [f"{name}={values[-1]}" for name, values in found.items() if name.isupper()]
    environ = dict(pair.split("=", 1) for pair in pairs)
    ours = {name: value for name, value in environ.items() if name.startswith("EDGEFN_")}
    resolve(ours)
    assert ours


def test_roles_replace_the_command() -> None:
    """A second ExecStart would be refused; the empty one takes the first away."""
    for name in ("hub.conf", "joined.conf"):
        reset, command = settings_of(FOLDER / name)["ExecStart"]
        assert not reset
        used = set(re.findall(r"\$\{?(\w+)\}?", command)) - {"CREDENTIALS_DIRECTORY"}
        assert used <= set(settings_of(FOLDER / "box.env")), name


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("role", ROLES)
def test_systemd_takes_it(role: str, tmp_path: Path) -> None:
    """Every line, with the program replaced by one that is here."""
    unit = tmp_path / UNIT.name
    drop_ins = tmp_path / "edgefn.service.d"
    drop_ins.mkdir()
    for source, target in (
        (UNIT, unit),
        *((FOLDER / name, drop_ins / name) for name in ROLES[role]),
    ):
        target.write_text(source.read_text().replace("/opt/edgefn/bin/edgefn", sys.executable))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    # On a machine without a running systemd it may speak of other units; of ours there is nothing.
    complaints = [line for line in verified.stderr.splitlines() if "edgefn" in line]
    assert not complaints
