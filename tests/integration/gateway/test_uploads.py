"""Blobs in chunks over real sockets: cut, resumed, in disorder, and too long."""

import hashlib
import json
import random
import select
import socket

import pytest

SIZE = 300_000
BLOB = random.Random(1).randbytes(SIZE)
DIGEST = hashlib.sha256(BLOB).hexdigest()


def fresh(seed: int, size: int = SIZE) -> tuple[bytes, str, str]:
    """Returns a blob that no other test has, its digest and its path."""
    blob = random.Random(seed).randbytes(size)
    digest = hashlib.sha256(blob).hexdigest()
    return blob, digest, f"/admin/v1/blobs/{digest}"


def stored(site, digest):
    return site.folder / "blobs" / digest[:2] / digest[2:4] / digest


def part(site, digest):
    return site.folder / "blobs" / "incoming" / f"{digest}.partial"


def came(site, digest):
    """Returns the length of what came, once no upload is at it."""
    return part(site, digest).stat().st_size if part(site, digest).exists() else 0


def has_answer(sock):
    return bool(select.select([sock], [], [], 0)[0])


def test_a_blob_comes_in_chunks(site):
    """It appears with the last one."""
    blob, digest, path = fresh(2)
    for start in range(0, SIZE, 100_000):
        assert not stored(site, digest).exists()
        status, _, body = site.request(
            "PUT", f"{path}?offset={start}&size={SIZE}", blob[start : start + 100_000]
        )
        assert (status, json.loads(body)) == (201, {"sha256": digest, "size": 100_000})
    assert stored(site, digest).read_bytes() == blob
    assert not part(site, digest).exists()


def test_a_connection_may_be_cut_anywhere(site):
    """At each hundredth: the next one goes on with what came, and the blob is whole in the end."""
    blob, digest, path = fresh(3)
    for hundredth in range(1, 100):
        end = SIZE * hundredth // 100
        while (position := came(site, digest)) < end:
            head = (
                f"PUT {path}?offset={position}&size={SIZE} HTTP/1.1\r\nHost: localhost\r\n"
                f"Content-Length: {SIZE - position}\r\n\r\n"
            )
            with socket.create_connection(("127.0.0.1", site.port)) as sock:
                sock.sendall(head.encode() + blob[position:end])
                # Refused, if the gateway has not noticed yet that the one before is gone.
                site.wait_until(lambda e=end, s=sock: came(site, digest) == e or has_answer(s))
        assert not stored(site, digest).exists()
    position = came(site, digest)

    def sent() -> bool:
        status, _, _ = site.request("PUT", f"{path}?offset={position}&size={SIZE}", blob[position:])
        assert status in (201, 409)
        return status == 201

    site.wait_until(sent)
    assert stored(site, digest).read_bytes() == blob


def test_a_chunk_that_does_not_follow_is_refused_with_what_came(site):
    """The uploader goes on from there."""
    blob, digest, path = fresh(4)
    assert site.request("PUT", f"{path}?offset=0&size={SIZE}", blob[:1000])[0] == 201
    for offset in (0, 999, 1001):
        status, _, body = site.request("PUT", f"{path}?offset={offset}&size={SIZE}", b"x")
        error = json.loads(body)["error"]
        assert (status, error["code"], error["detail"]) == (409, "out_of_step", {"partial": 1000})
    assert site.request("PUT", f"{path}?offset=1000&size={SIZE}", blob[1000:])[0] == 201
    assert site.request("PUT", f"{path}?offset=0&size={SIZE}", blob)[0] == 409


def test_wrong_bytes_are_thrown_away_with_the_last_chunk(site):
    """Then the upload can begin anew."""
    blob, digest, path = fresh(5)
    assert site.request("PUT", f"{path}?offset=0&size={SIZE}", bytes(1000))[0] == 201
    status, _, body = site.request("PUT", f"{path}?offset=1000&size={SIZE}", blob[1000:])
    assert (status, json.loads(body)["error"]["code"]) == (422, "digest_mismatch")
    assert site.request("PUT", f"{path}?offset=0&size={SIZE}", blob)[0] == 201


@pytest.mark.parametrize(
    ("query", "length", "status", "code"),
    [
        ("?offset=0&size=10", 11, 413, "body_too_large"),
        ("?offset=10&size=10", 1, 413, "body_too_large"),
        ("?offset=0&size=99999999999", 1, 413, "body_too_large"),
        ("?offset=99999999999&size=99999999999", 0, 413, "body_too_large"),
        ("?offset=0", 1, 400, "malformed_request"),
        ("?size=10", 1, 400, "malformed_request"),
        ("?offset=-1&size=10", 1, 400, "malformed_request"),
        ("?offset=x&size=10", 1, 400, "malformed_request"),
        ("?offset=0&size=10&more=1", 1, 400, "malformed_request"),
    ],
)
def test_what_does_not_fit_is_refused(site, query, length, status, code):
    """Nothing is written for it."""
    got, _, body = site.request("PUT", f"/admin/v1/blobs/{DIGEST}{query}", bytes(length))
    assert (got, json.loads(body)["error"]["code"]) == (status, code)
    assert came(site, DIGEST) == 0


@pytest.mark.parametrize(
    ("header", "status"), [("Content-Length: 600000000", 413), ("Transfer-Encoding: chunked", 411)]
)
def test_a_body_that_may_not_end_is_refused_before_it_comes(site, header, status):
    """Its length must be told, and be that of a bundle at most."""
    head = f"PUT /admin/v1/blobs/{DIGEST} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", site.port), timeout=5.0) as sock:
        sock.sendall(head.encode())
        assert sock.recv(100).startswith(f"HTTP/1.1 {status} ".encode())


def test_two_uploaders_of_one_blob_do_not_harm_each_other(site):
    """While one writes, the other is told to ask again."""
    blob, digest, path = fresh(6)
    head = (
        f"PUT {path}?offset=0&size={SIZE} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Length: {SIZE}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", site.port), timeout=5.0) as sock:
        sock.sendall(head.encode() + blob[:1000])
        site.wait_until(lambda: came(site, digest) == 1000)
        status, _, body = site.request("PUT", f"{path}?offset=1000&size={SIZE}", bytes(9))
        assert (status, json.loads(body)["error"]["code"]) == (409, "out_of_step")
        sock.sendall(blob[1000:])
        assert sock.recv(100).startswith(b"HTTP/1.1 201 ")
    assert stored(site, digest).read_bytes() == blob
