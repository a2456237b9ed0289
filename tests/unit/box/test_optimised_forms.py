"""Which of the forms on the disk are used, and which are removed."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from edgefn.box.environments import Environments
from edgefn.box.optimised import OptimisedModels
from edgefn.box.optimised_key import engine_of, key_of, processor_of
from edgefn_runtime.optimised import GRAPH_FILE, RECORD_FILE, WEIGHTS_FILE, Record

MODEL, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "optimised"


def models(folder: Path) -> OptimisedModels:
    return OptimisedModels(folder, Environments(folder / "environments"), list)


def key() -> str:
    """Returns that of this machine."""
    return key_of(engine_of(None), processor_of(Path("/proc/cpuinfo").read_text()))


def write_form(folder: Path, name: str) -> Path:
    """Writes what looks like a finished form."""
    form = folder / name
    form.mkdir(parents=True)
    for file in (GRAPH_FILE, WEIGHTS_FILE):
        (form / file).write_bytes(file.encode())
    (form / RECORD_FILE).write_bytes(msgspec.json.encode(Record.of(form)))
    return form


def test_what_an_earlier_life_made_is_used(folder: Path) -> None:
    """If its record is there; it says what the files must be."""
    form = write_form(folder, f"{MODEL}-{key()}")
    found = models(folder).of(None)
    assert list(found) == [MODEL]
    assert found[MODEL].folder == str(form)
    assert found[MODEL].record == Record.of(form)


@pytest.mark.parametrize("record", [None, b"", b"{}", b'{"graph_sha256": 1}'])
def test_what_was_not_finished_is_not_used(folder: Path, record: bytes | None) -> None:
    """A box that died may have left files without a record, or with half of one."""
    path = write_form(folder, f"{MODEL}-{key()}") / RECORD_FILE
    path.unlink()
    if record is not None:
        path.write_bytes(record)
    assert not models(folder).of(None)


def test_a_form_for_another_machine_is_not_used(folder: Path) -> None:
    """Its key says so."""
    write_form(folder, f"{MODEL}-{'0' * 16}")
    assert not models(folder).of(None)


def test_forms_go_with_their_models(folder: Path) -> None:
    """What no kept revision names is removed, and so is what is for another machine."""
    kept = write_form(folder, f"{MODEL}-{key()}")
    write_form(folder, f"{OTHER}-{key()}")
    write_form(folder, f"{MODEL}-{'0' * 16}")
    found = models(folder)
    forms = found.of(None)
    assert set(forms) == {MODEL, OTHER}
    asyncio.run(found.keep({MODEL}))
    assert list(folder.iterdir()) == [kept]
    assert set(forms) == {MODEL}


def test_nothing_to_remove(folder: Path) -> None:
    """A box that never made one has no folder."""
    asyncio.run(models(folder).keep(set()))
    assert not folder.exists()
