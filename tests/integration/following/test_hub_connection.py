"""Requests to a hub that the test plays, over real TLS: kept connections, cuts, impostors."""

import asyncio
import errno
import hashlib
from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest

from edgefn.access.authority import Authority
from edgefn.access.files import AccessFiles
from edgefn.access.identity import Identity, identity_of
from edgefn.access.tls import server_context
from edgefn.box.following import fetching, pull
from edgefn.box.following.fetching import Fetcher, NotWanted
from edgefn.box.following.hub import Hub
from edgefn.box.following.pull import keep_pulling, keep_reporting
from edgefn.bundle.partial import ChunkWriter, PartialBlobs
from edgefn.bundle.store import BlobStore
from edgefn.client.hub import HubConnection
from edgefn.desired.errors import HubRefuses, HubUnreachable
from edgefn.desired.report import BoxReport
from edgefn.desired.state import DesiredState, Unchanged
from edgefn_runtime.manifest import BundleFile, FunctionSchema, FunctionSpec, Manifest
from edgefn_runtime.variant import as_given

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class PlayedHub:
    """Answers with whatever the test puts into `answers`; else with a blob."""

    def __init__(self, folder):
        now = datetime.now(UTC).replace(microsecond=0)
        self.folder, self.now, self.authority = folder, now, Authority.make(now)
        self.requests, self.callers, self.connections = [], [], 0
        self.answers = []
        self.cut_after = None
        self.asked = asyncio.Event()
        (folder / "fleet.pem").write_text(self.authority.pem)

    async def start(self, *, is_hub=True):
        pair, _ = self.authority.issue_pair(
            Identity(kind="box", name="cloud-1", is_hub=is_hub), now=self.now
        )
        (self.folder / "hub.pem").write_text(pair)
        context = server_context(self.folder / "hub.pem", fleet=self.folder / "fleet.pem")
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.url = f"https://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    def joined(self, name="plant-1"):
        """Returns the files of a box that joined it."""
        files = AccessFiles(self.folder / name)
        pair, _ = self.authority.issue_pair(Identity(kind="box", name=name), now=self.now)
        files.joined(self.url, "token", self.authority.pem, pair)
        return files

    async def _serve(self, reader, writer):
        self.connections += 1
        self.callers.append(identity_of(writer.get_extra_info("peercert")).name)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *headers = head.split("\r\n")
                length = next((h[16:] for h in headers if h.startswith("Content-Length: ")), "0")
                body = await reader.readexactly(int(length))
                self.requests.append((line, headers, body))
                self.asked.set()
                answer = self.answers.pop(0) if self.answers else self._blob(headers)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if self.cut_after is not None:
                    break
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    def _blob(self, headers):
        found = next((h for h in headers if h.startswith("Range: ")), "Range: bytes=0-")
        first = int(found.removeprefix("Range: bytes=").rstrip("-"))
        answer = reply(CONTENT[first:], status=206 if first else 200)
        if self.cut_after is not None:
            answer = answer[: self.cut_after]
        return answer


def reply(body, status=200, connection=""):
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%b\r\n" % (
        status, len(body), connection.encode(),
    ) + body  # fmt: skip


@pytest.fixture
async def hub(tmp_path):
    played = await PlayedHub(tmp_path).start()
    yield played
    played.server.close()


@pytest.fixture
async def connection(hub):
    made = HubConnection(hub.joined())
    yield made
    await made.aclose()


@pytest.fixture
def fetcher(hub, connection, tmp_path):
    store = BlobStore(tmp_path / "blobs")
    return Fetcher(Hub(connection), store), store


def manifest(*files):
    spec = FunctionSpec(name="f")
    return Manifest(
        module="function.py",
        attribute="f",
        spec=spec,
        schema=FunctionSchema(input={}, output={}, v2_inputs=(), v2_outputs=()),
        variants=(as_given(spec.models),),
        files=files or (BundleFile("function.py", len(CONTENT), DIGEST),),
    )


async def test_one_connection_serves_many_requests_and_is_made_again_when_it_was_closed(
    hub, connection
):
    """The hub may close it between two requests."""
    hub.answers += [
        reply(b"1"),
        reply(b"2"),
        None,
        reply(b"3"),
        reply(b"4", 200, "Connection: close\r\n"),
    ]
    assert [await connection.ask("GET", "/x") for _ in range(3)] == [b"1", b"2", b"3"]
    assert (hub.connections, hub.callers) == (2, ["plant-1"] * 2)
    await connection.ask("POST", "/x", b"{}")
    hub.answers.append(reply(b"5"))
    await connection.ask("GET", "/x")
    assert hub.connections == 3


async def test_a_certificate_that_was_renewed_is_shown_on_the_next_connection(hub, connection):
    """The hub refuses the old one at some time."""
    body = msgspec.json.encode({"error": {"code": "unauthorized", "message": "it has expired"}})
    hub.answers += [reply(b"1"), reply(body, 401)]
    await connection.ask("GET", "/x")
    with pytest.raises(HubRefuses, match="it has expired"):
        await connection.ask("GET", "/x")
    hub.joined("plant-2").certificate.rename(hub.joined().certificate)
    hub.answers.append(reply(b"2"))
    await connection.ask("GET", "/x")
    assert hub.callers == ["plant-1", "plant-2"]


async def test_whoever_is_not_the_hub_is_told_nothing(tmp_path):
    """A box of the fleet at the hub's address; and one of another fleet."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    box = await PlayedHub(tmp_path / "a").start(is_hub=False)
    other = await PlayedHub(tmp_path / "b").start()
    stranger = box.joined("plant-2")
    stranger.joined(other.url, "t", box.authority.pem, stranger.certificate.read_text())
    for files, why in ((box.joined(), "is box 'cloud-1', not the hub"), (stranger, "not of this")):
        with pytest.raises(HubUnreachable, match=why):
            await HubConnection(files).ask("GET", "/x")
    assert not box.requests
    assert not other.requests
    box.server.close()
    other.server.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * 40_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        None,
    ],
)
async def test_what_is_no_answer_is_said_to_be_none(hub, connection, answer):
    """And is not waited for."""
    hub.answers += [answer, None]
    hub.cut_after = 0
    with pytest.raises(HubUnreachable):
        await connection.ask("GET", "/x")


async def test_a_transfer_that_is_cut_again_and_again_goes_on_at_once(hub, fetcher):
    """As long as something comes each time, which a slow and unsteady link is good for."""
    fetch, store = fetcher
    hub.cut_after = 300_000
    await fetch.fetch(manifest(), lambda: True)
    assert len(hub.requests) >= 4
    assert store.path(DIGEST).read_bytes() == CONTENT


async def test_a_cut_transfer_goes_on_where_it_was(hub, fetcher):
    """What came is kept, over the end of the box too, and the whole is verified."""
    fetch, store = fetcher
    hub.cut_after = len(CONTENT) * 2  # ends each connection after its answer
    hub.answers += [reply(CONTENT)[:300_000], None, None]
    with pytest.raises(HubUnreachable):
        await fetch.fetch(manifest(), lambda: True)
    came = PartialBlobs(store).sizes([DIGEST])[DIGEST]
    assert 0 < came < 300_000
    await fetch.fetch(manifest(), lambda: True)
    assert f"Range: bytes={came}-" in hub.requests[-1][1]
    assert store.path(DIGEST).read_bytes() == CONTENT
    asked = len(hub.requests)
    await fetch.fetch(manifest(), lambda: True)
    assert len(hub.requests) == asked


async def test_all_bytes_that_came_before_the_box_was_killed_are_enough(hub, fetcher):
    """Nothing is asked for; an empty file is not asked for either."""
    fetch, store = fetcher
    writer = PartialBlobs(store).open(DIGEST, offset=0, size=len(CONTENT) + 1)
    writer.write(CONTENT)
    writer.abort()
    empty = hashlib.sha256(b"").hexdigest()
    files = BundleFile("function.py", len(CONTENT), DIGEST), BundleFile("empty", 0, empty)
    await fetch.fetch(manifest(*files), lambda: True)
    assert not hub.requests
    assert store.missing([DIGEST, empty]) == []


async def test_what_the_disk_has_no_room_for_is_not_begun(hub, fetcher, monkeypatch):
    """The box keeps room for its own files, such as what the hub wants next."""
    usage = SimpleNamespace(free=fetching.KEPT_FREE_BYTES + len(CONTENT) - 1)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(fetching.NoRoom, match="1.0 MB are to be fetched"):
        await fetcher[0].fetch(manifest(), lambda: True)
    assert not hub.requests
    usage.free += 1
    await fetcher[0].fetch(manifest(), lambda: True)


async def test_what_filled_the_disk_is_taken_off_it(fetcher, monkeypatch):
    """Else the box could not even write down that the hub wants something smaller."""
    fetch, store = fetcher

    def full(writer, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ChunkWriter, "write", full)
        with pytest.raises(OSError, match="No space"):
            await fetch.fetch(manifest(), lambda: True)
    assert PartialBlobs(store).sizes([DIGEST]) == {}


async def test_other_bytes_are_thrown_away(hub, fetcher):
    """Whatever the hub sends."""
    fetch, store = fetcher
    hub.answers.append(reply(b"x" * len(CONTENT)))
    with pytest.raises(Exception, match="have SHA-256"):
        await fetch.fetch(manifest(), lambda: True)
    assert PartialBlobs(store).sizes([DIGEST]) == {}
    assert store.missing([DIGEST]) == [DIGEST]


async def test_what_is_not_wanted_any_more_is_not_fetched_to_its_end(fetcher):
    """Something newer may wait behind it."""
    with pytest.raises(NotWanted):
        await fetcher[0].fetch(manifest(), lambda: False)


async def test_news_are_handed_on_and_survive_that_the_hub_is_away(hub, connection, caplog):
    """What is known already is not."""
    first, second = DesiredState(epoch="e", revision=1), DesiredState(epoch="e", revision=2)
    error = reply(b'{"error":{"code":"unavailable","message":"starting"}}', 503)
    hub.answers += [reply(msgspec.json.encode(first)), error, reply(msgspec.json.encode(second))]
    hub.answers += [reply(msgspec.json.encode(Unchanged()))] * 3
    taken, came = [], asyncio.Event()

    async def take(state):
        taken.append(state)
        if len(taken) == 2:
            came.set()

    known = lambda: taken[-1] if taken else None  # noqa: E731
    pulling = asyncio.ensure_future(keep_pulling(Hub(connection), known, take))
    async with asyncio.timeout(10.0):
        await came.wait()
    pulling.cancel()
    await asyncio.wait((pulling,))
    assert taken == [first, second]
    assert "?epoch=e&revision=1&digest=&wait_s=20" in hub.requests[1][0]
    assert "starting; the box goes on" in caplog.text


async def test_a_box_reports(hub, connection):
    """What it is, as soon as it can."""
    report = BoxReport(box="plant-1", tier="edge", site="s", version="1", boot_id="b")
    hub.answers.append(reply(b'{"noted":"plant-1"}'))
    reporting = asyncio.ensure_future(keep_reporting(Hub(connection), lambda: report))
    async with asyncio.timeout(10.0):
        await hub.asked.wait()
    reporting.cancel()
    await asyncio.wait((reporting,))
    assert msgspec.json.decode(hub.requests[0][2], type=BoxReport) == report


async def test_a_report_that_the_hub_refuses_is_said_to_be_once(
    hub, connection, caplog, monkeypatch
):
    """Else the box would be shown as lost, and nobody would know why."""
    monkeypatch.setattr(pull, "AT_LEAST_S", 0.01)
    report = BoxReport(box="plant-1", tier="edge", site="s", version="1", boot_id="b")
    error = reply(b'{"error":{"code":"invalid_input","message":"no report"}}', 400)
    hub.answers += [error, error, reply(b"{}")]
    reporting = asyncio.ensure_future(keep_reporting(Hub(connection), lambda: report))
    async with asyncio.timeout(20.0):
        while len(hub.requests) < 3:
            hub.asked.clear()
            await hub.asked.wait()
    reporting.cancel()
    await asyncio.wait((reporting,))
    assert caplog.text.count("no report") == 1
