"""What a box remembers of its fleet."""

import pytest

from edgefn.access.table import AccessTable, Grant
from edgefn.box.following.memory import FILE, Memory
from edgefn.desired.state import DesiredState, RayHead
from edgefn.errors import ConfigError

STATE = DesiredState(
    epoch="e", revision=7, access=AccessTable(revoked=("s",)), ray=RayHead(address="a:1", token="t")
)


async def test_what_was_taken_is_there_when_it_is_opened_again(tmp_path):
    """In a file that nobody else can read."""
    memory = Memory.open(tmp_path, "fleet-1")
    assert (memory.state, memory.brought) == (None, {})
    await memory.take(STATE)
    await memory.bring("f", 0)
    await memory.bring("f", 3)
    await memory.bring("g", 1)
    await memory.forget("g")
    again = Memory.open(tmp_path, "fleet-1")
    assert (again.state, again.brought) == (STATE, {"f": 3})
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


async def test_another_fleet_gives_nobody_access_and_its_functions_are_still_known(tmp_path):
    """They go when the box hears what its fleet wants."""
    memory = Memory.open(tmp_path, "fleet-1")
    await memory.take(STATE)
    await memory.bring("f", 3)
    again = Memory.open(tmp_path, "fleet-2")
    assert (again.state, again.brought) == (None, {"f": 3})


def test_a_damaged_file_is_as_none(tmp_path, caplog):
    """All of it comes again."""
    (tmp_path / FILE).write_text('{"state":')
    (tmp_path / FILE).chmod(0o600)
    assert Memory.open(tmp_path, "fleet-1").state is None
    assert "fetched again" in caplog.text


def test_a_file_that_others_can_read_is_refused(tmp_path):
    """It has secrets."""
    (tmp_path / FILE).write_text("{}")
    (tmp_path / FILE).chmod(0o644)
    with pytest.raises(ConfigError, match="0644"):
        Memory.open(tmp_path, "fleet-1")


async def test_what_cannot_be_written_is_not_taken(tmp_path):
    """Nothing is acted on that a restart would not know."""
    memory = Memory.open(tmp_path, "fleet-1")
    (tmp_path / FILE).mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        await memory.take(STATE)
    assert memory.state is None


async def test_large_states_are_read(tmp_path):
    """Manifests and keys are many."""
    grants = tuple(
        Grant(id=f"{number}", name="x" * 100, can="call", sha256=b"h" * 32)
        for number in range(1000)
    )
    state = DesiredState(epoch="e", revision=1, access=AccessTable(grants=grants))
    await Memory.open(tmp_path, "f").take(state)
    assert Memory.open(tmp_path, "f").state == state
