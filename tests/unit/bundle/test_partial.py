"""Blobs that come in chunks, on a real file system."""

import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefn.bundle.partial import OutOfStep, PartialBlobs
from edgefn.bundle.store import GRACE_S, BlobStore, DigestMismatch
from edgefn_runtime.manifest import InvalidManifest

DATA = bytes(range(256)) * 4
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def came(store: BlobStore) -> int:
    return PartialBlobs(store).sizes([DIGEST]).get(DIGEST, 0)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=8))
def test_an_upload_that_is_cut_anywhere_goes_on(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, int]]
) -> None:
    """What came of a chunk counts, and the blob is whole in the end."""
    store = BlobStore(tmp_path_factory.mktemp("store"))
    for announced, sent in [*cuts, (len(DATA), len(DATA))]:
        position = came(store)
        chunk = DATA[position : position + announced]
        if store.missing([DIGEST]):
            writer = PartialBlobs(store).open(DIGEST, offset=position, size=len(DATA))
            writer.write(chunk[:sent])
            if sent >= len(chunk):
                writer.commit()
            else:
                writer.abort()
    assert store.path(DIGEST).read_bytes() == DATA
    assert PartialBlobs(store).sizes([DIGEST]) == {}


def test_a_chunk_must_follow_what_came(store: BlobStore) -> None:
    """The refusal says how much that is, and changes nothing."""
    writer = PartialBlobs(store).open(DIGEST, offset=0, size=len(DATA))
    writer.write(DATA[:100])
    writer.commit()
    for offset in (0, 99, 101):
        with pytest.raises(OutOfStep, match="came 100 bytes") as caught:
            PartialBlobs(store).open(DIGEST, offset=offset, size=len(DATA))
        assert caught.value.detail["partial"] == 100
    assert came(store) == 100


def test_two_at_once_do_not_mix(store: BlobStore) -> None:
    """The second is told to ask again, as long as the first writes."""
    first = PartialBlobs(store).open(DIGEST, offset=0, size=len(DATA))
    with pytest.raises(OutOfStep, match="under way"):
        PartialBlobs(store).open(DIGEST, offset=0, size=len(DATA))
    first.write(DATA)
    first.commit()
    with pytest.raises(OutOfStep, match="already"):
        PartialBlobs(store).open(DIGEST, offset=0, size=len(DATA))
    assert store.path(DIGEST).read_bytes() == DATA


def test_wrong_bytes_never_become_a_blob(store: BlobStore) -> None:
    """They are thrown away with the last chunk, so that the next upload begins anew."""
    writer = PartialBlobs(store).open(DIGEST, offset=0, size=len(DATA))
    writer.write(DATA[:-1] + b"?")
    with pytest.raises(DigestMismatch, match="from its beginning"):
        writer.commit()
    assert store.missing([DIGEST]) == [DIGEST]
    assert came(store) == 0


def test_what_is_longer_than_the_blob_stops_nobody(store: BlobStore) -> None:
    """Another uploader announced another size, and sent something else."""
    writer = PartialBlobs(store).open(DIGEST, offset=0, size=len(DATA) + 9)
    writer.write(b"?" * (len(DATA) + 1))
    writer.commit()
    with pytest.raises(OutOfStep) as caught:
        PartialBlobs(store).open(DIGEST, offset=len(DATA) + 1, size=len(DATA))
    assert caught.value.detail["partial"] == 0
    writer = PartialBlobs(store).open(DIGEST, offset=0, size=len(DATA))
    writer.write(DATA)
    writer.commit()
    assert store.path(DIGEST).read_bytes() == DATA


def test_a_whole_upload_beside_a_part_is_fine(store: BlobStore) -> None:
    """They write to files of their own."""
    part = PartialBlobs(store).open(DIGEST, offset=0, size=len(DATA))
    part.write(DATA[:10])
    whole = store.open_writer(DIGEST)
    whole.write(DATA)
    whole.commit()
    part.write(DATA[10:])
    part.commit()
    assert store.path(DIGEST).read_bytes() == DATA


def test_a_part_is_kept_for_a_while(store: BlobStore) -> None:
    """An hour after its last byte it is garbage, unless it is being written."""
    writer = PartialBlobs(store).open(DIGEST, offset=0, size=len(DATA))
    writer.write(DATA[:10])
    path = store.incoming / f"{DIGEST}.partial"
    long_ago = time.time() - GRACE_S - 1
    os.utime(path, (long_ago, long_ago))
    store.keep(set())
    assert path.exists()
    writer.abort()
    os.utime(path)
    store.keep(set())
    assert path.exists()
    os.utime(path, (long_ago, long_ago))
    store.keep(set())
    assert not path.exists()


def test_an_empty_blob_is_one_chunk(store: BlobStore) -> None:
    """Of no bytes."""
    digest = hashlib.sha256(b"").hexdigest()
    PartialBlobs(store).open(digest, offset=0, size=0).commit()
    assert store.path(digest).read_bytes() == b""


@pytest.mark.parametrize("digest", ["", "../../etc", "A" * 64])
def test_only_a_digest_names_a_part(store: BlobStore, digest: str) -> None:
    """Nothing else becomes a path."""
    with pytest.raises(InvalidManifest):
        PartialBlobs(store).open(digest, offset=0, size=1)
    with pytest.raises(InvalidManifest):
        PartialBlobs(store).sizes([digest])


def test_a_link_is_not_written_through(store: BlobStore, tmp_path: Path) -> None:
    """Whoever put it there."""
    store.incoming.mkdir(parents=True)
    (tmp_path / "precious").write_text("precious")
    (store.incoming / f"{DIGEST}.partial").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError):
        PartialBlobs(store).open(DIGEST, offset=8, size=len(DATA))
    assert (tmp_path / "precious").read_text() == "precious"
