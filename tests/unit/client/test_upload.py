"""Uploads that are cut, against a store in memory."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgefn.bundle.content import Content
from edgefn.client import upload as uploading
from edgefn.client.errors import CallFailed, ConnectionLost, Unreachable
from edgefn.client.upload import TRIES, Missing, upload
from edgefn.errors import EdgefnError

CHUNK = 100


class FakeStore:
    """Keeps bytes; fails as a test says: `cuts` has how many bytes arrive before each failure."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        self.cuts: list[int] = []
        self.error: EdgefnError = ConnectionLost("cut")
        self.puts: list[int] = []

    def missing(self, digests: list[str]) -> Missing:
        lacking = [digest for digest in digests if digest not in self.blobs]
        partial = {digest: len(self.parts[digest]) for digest in lacking if digest in self.parts}
        return Missing(tuple(lacking), partial)

    def put(
        self, digest: str, query: Mapping[str, int], length: int, body: Iterator[bytes]
    ) -> None:
        self.puts.append(query["offset"])
        came = self.parts.get(digest, b"")
        if len(came) > query["size"]:
            came = b""
        if query["offset"] != len(came):
            raise CallFailed("no", code="out_of_step")
        data = b"".join(body)
        assert len(data) == length
        if self.cuts:
            self.parts[digest] = came + data[: self.cuts.pop(0)]
            raise self.error
        self.parts[digest] = came + data
        if len(self.parts[digest]) == query["size"]:
            assert hashlib.sha256(self.parts[digest]).hexdigest() == digest
            self.blobs[digest] = self.parts.pop(digest)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "CHUNK_BYTES", CHUNK)
    monkeypatch.setattr(uploading, "PAUSE_S", 0.0)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def bundle_of(folder: Path, *datas: bytes) -> Any:
    files = {}
    for number, data in enumerate(datas):
        path = folder / str(number)
        path.write_bytes(b"head" + data + b"tail")
        digest = hashlib.sha256(data).hexdigest()
        files[digest] = Content(path=path, size=len(data), offset=4)
    return SimpleNamespace(files=files)


def send(bundle: Any, store: FakeStore) -> list[tuple[int, int]]:
    progress: list[tuple[int, int]] = []
    upload(bundle, store, lambda sent, total: progress.append((sent, total)))
    return progress


def test_contents_go_in_chunks(store: FakeStore, tmp_path: Path) -> None:
    """What is there already does not go at all; nothing is a chunk, too."""
    store.blobs[hashlib.sha256(b"known").hexdigest()] = b"known"
    progress = send(bundle_of(tmp_path, b"x" * 250, b"known", b""), store)
    assert sorted(store.blobs.values()) == [b"", b"known", b"x" * 250]
    assert store.puts == [0, 100, 200, 0]
    assert (progress[0], progress[-1]) == ((0, 250), (250, 250))
    assert progress == sorted(progress)


def test_an_upload_goes_on_where_it_was_cut(store: FakeStore, tmp_path: Path) -> None:
    """By the byte, and more often than once, as long as something arrives."""
    store.cuts = [30, 0, 100, 99]
    send(bundle_of(tmp_path, bytes(range(250))), store)
    assert list(store.blobs.values()) == [bytes(range(250))]
    assert store.puts == [0, 30, 30, 130, 229]


def test_an_upload_goes_on_from_an_earlier_one(store: FakeStore, tmp_path: Path) -> None:
    """Only the rest is sent, and counted."""
    data = bytes(range(250))
    store.parts[hashlib.sha256(data).hexdigest()] = data[:180]
    assert send(bundle_of(tmp_path, data), store)[0] == (0, 70)
    assert store.puts == [180]


def test_an_upload_begins_anew_where_something_else_was_sent(
    store: FakeStore, tmp_path: Path
) -> None:
    """More bytes came than the blob has."""
    data = bytes(range(250))
    store.parts[hashlib.sha256(data).hexdigest()] = data + b"more"
    progress = send(bundle_of(tmp_path, data), store)
    assert (progress[0], progress[-1]) == ((0, 250), (250, 250))
    assert list(store.blobs.values()) == [data]


def test_what_another_uploader_finished_is_done(store: FakeStore, tmp_path: Path) -> None:
    """The refusal of its chunk is no failure."""
    bundle = bundle_of(tmp_path, b"same")
    (digest,) = bundle.files

    def finish(*arguments: Any) -> None:
        store.blobs[digest] = b"same"
        raise CallFailed("the store has it already", code="out_of_step")

    store.put = finish  # type: ignore[method-assign]
    assert send(bundle, store)[-1] == (4, 4)


@pytest.mark.parametrize("error", [ConnectionLost("cut"), Unreachable("gone")])
def test_tries_are_bounded(store: FakeStore, tmp_path: Path, error: EdgefnError) -> None:
    """When nothing arrives any more, the last error is told."""
    store.cuts, store.error = [0] * 100, error
    with pytest.raises(type(error)):
        send(bundle_of(tmp_path, b"x"), store)
    assert len(store.puts) == TRIES


def test_a_refusal_is_final(store: FakeStore, tmp_path: Path) -> None:
    """Another try would be refused as well."""
    store.cuts, store.error = [0], CallFailed("wrong", code="digest_mismatch")
    with pytest.raises(CallFailed, match="wrong"):
        send(bundle_of(tmp_path, b"x"), store)
    assert store.puts == [0]
