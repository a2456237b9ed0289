"""Emulated links as a process of their own, changed over its control socket."""

import socket
import threading
import time

import pytest

from edgefn.emulation.client import LinkControl, find_session
from edgefn.emulation.launch import LinkProcess
from edgefn.emulation.messages import Aim, Change, Open, Show
from edgefn.emulation.path import Conditions
from edgefn.errors import ConfigError, EdgefnError


@pytest.fixture(scope="module")
def echo():
    """A server that sends back what it gets; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(sock):
        with sock:
            while data := sock.recv(65536):
                sock.sendall(data)

    def serve():
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(sock,), daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture(scope="module")
def links(tmp_path_factory, echo):
    """A process with one link to the echo server, `here:there`."""
    folder = tmp_path_factory.mktemp("links")
    process = LinkProcess.start(folder, seed=1)
    process.folder = folder
    (link,) = process.control.ask(Open("here:there", Conditions()))
    process.port = link.port
    process.control.ask(Aim("there", "127.0.0.1", echo))
    yield process
    process.stop()


@pytest.fixture
def stream(links):
    """A connection over the link, which is as fast as there are after the test."""
    with socket.create_connection(("127.0.0.1", links.port), timeout=5.0) as sock:
        yield sock
    links.control.ask(
        Change(link="here:there", rtt_s=0.0, jitter_s=0.0, loss=0.0, rate_bps=0.0, cut=False)
    )


def round_trip_s(sock, data=b"ping"):
    began_s = time.monotonic()
    sock.sendall(data)
    got = b""
    while len(got) < len(data):
        got += sock.recv(65536)
    assert got == data
    return time.monotonic() - began_s


def test_a_round_trip_takes_at_least_what_the_link_says_and_changes_while_it_is_open(links, stream):
    """For the connection that there is."""
    round_trip_s(stream)
    links.control.ask(Change(link="there", rtt_s=0.1))
    assert round_trip_s(stream) >= 0.1
    links.control.ask(Change(link="here", rtt_s=0.0, rate_bps=8e6))
    assert round_trip_s(stream, bytes(50_000)) >= 0.05


def test_megabytes_come_through_whole_and_in_order(links, stream):
    """With jitter and loss, and more than the link holds at a time."""
    links.control.ask(Change(rtt_s=0.002, jitter_s=0.002, loss=0.0005))
    data = b"".join(n.to_bytes(4, "big") for n in range(1_500_000))
    got = bytearray()

    def read():
        while len(got) < len(data):
            got.extend(stream.recv(1 << 20))

    reader = threading.Thread(target=read)
    reader.start()
    stream.settimeout(30.0)
    stream.sendall(data)
    reader.join(30.0)
    assert bytes(got) == data


def test_nothing_gets_through_a_cut_and_all_of_it_after(links, stream):
    """Neither side is told, as when a cable is cut."""
    round_trip_s(stream)
    (link,) = links.control.ask(Change(link="here:there", cut=True))
    assert link.conditions.cut
    stream.sendall(b"held")
    stream.settimeout(0.2)
    with pytest.raises(TimeoutError):
        stream.recv(10)
    links.control.ask(Change(link="here:there", cut=False))
    stream.settimeout(5.0)
    assert stream.recv(10) == b"held"


def test_the_end_of_one_side_ends_the_other(links):
    """After all that was said before, and as late."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (link,) = links.control.ask(Open("here:speaker", Conditions(rtt_s=0.04)))
        links.control.ask(Aim("speaker", "127.0.0.1", listener.getsockname()[1]))
        with socket.create_connection(("127.0.0.1", link.port), timeout=5.0) as sock:
            speaker, _ = listener.accept()
            with speaker:
                speaker.sendall(b"last words")
            assert b"".join(iter(lambda: sock.recv(100), b"")) == b"last words"


def test_an_order_that_cannot_be_says_why_and_changes_nothing(links):
    """In a sentence."""
    with pytest.raises(ConfigError, match="no link or box is called 'nowhere'"):
        links.control.ask(Change(link="nowhere", cut=True))
    with pytest.raises(ConfigError, match="loss of 90%"):
        links.control.ask(Change(loss=0.9))
    assert links.control.ask(Show())[0].conditions == Conditions()


def test_a_session_is_found_by_its_folder(links, monkeypatch, tmp_path):
    """Or because it is the only one; without one, the message says how to start one."""
    assert find_session(links.folder).ask(Show())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ConfigError, match="edgefn dev --topology"):
        find_session(None)
    (tmp_path / "edgefn-dev-x").symlink_to(links.folder)
    assert find_session(None).ask(Show())
    with pytest.raises(EdgefnError, match="do not answer"):
        LinkControl(tmp_path / "none.sock").ask(Show())
