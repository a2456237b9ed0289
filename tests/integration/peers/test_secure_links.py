"""Links between gateways over mutual TLS: whoever greets must be who its certificate says."""

from datetime import UTC, datetime, timedelta

import pytest

from edgefn.access.table import AccessTable
from edgefn.access.tls import PEER_PROTOCOL, fleet_context, server_context

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
async def hub(make_box, fleet, open_port):
    """A hub that serves the function; `address` is that of its port with TLS."""
    box = await make_box("hub", "cloud").start()
    box.serve()
    pair, _ = fleet.certificate("hub", is_hub=True)
    open_port(box, server_context(pair, fleet=fleet.ca))
    return box


async def dialling(make_box, context, address, name="edge-1"):
    """An edge box that has no replica of its own, and dials."""
    edge = await make_box(name).start()
    edge.serve(here=False)
    edge.peers.dial_hub((address,), context)
    return edge


async def refused(edge, caplog, soon, why):
    """Waits until the edge was told why not, and makes sure that no link stays.

    The edge may hold one for an instant: where it is the one that is refused, the greeting of
    the hub that it dialled is right, and arrives before the refusal.
    """
    await soon(lambda: why in caplog.text or "no peer at" in caplog.text)
    await soon(lambda: not edge.peers._links)
    assert not edge.sees("hub")


async def test_a_box_of_the_fleet_is_linked_and_calls(make_box, fleet, hub, soon):
    """Over the port that callers use, too."""
    pair, _ = fleet.certificate("edge-1")
    edge = await dialling(make_box, fleet.dial(pair), hub.secure_address)
    await soon(lambda: edge.sees("hub"))
    assert await edge.call(b"hello") == b"hub:hello"
    (link,) = edge.peers._links
    assert link.protocol.identity.is_hub


async def test_a_box_cannot_greet_with_the_name_of_another(make_box, fleet, hub, soon, caplog):
    """Its certificate says who it is, and neither side believes anything else."""
    pair, _ = fleet.certificate("edge-2")
    edge = await dialling(make_box, fleet.dial(pair), hub.secure_address)
    await refused(edge, caplog, soon, "certificate is that of 'edge-2'")
    assert not hub.sees("edge-1")
    assert not hub.peers._links


async def test_a_box_cannot_pass_for_the_hub(make_box, fleet, open_port, soon, caplog):
    """Though the same authority signed its certificate, and whatever its name."""
    pair, _ = fleet.certificate("hub")  # without the mark of one
    false = await make_box("hub", "cloud").start()
    false.serve()
    open_port(false, server_context(pair, fleet=fleet.ca))
    mine, _ = fleet.certificate("edge-1")
    edge = await dialling(make_box, fleet.dial(mine), false.secure_address)
    await refused(edge, caplog, soon, "is not the hub")


@pytest.mark.parametrize("stranger", ["edge", "hub"])
async def test_another_authority_is_not_believed(
    make_box, fleet, hub, soon, caplog, make_fleet, stranger
):
    """On either side."""
    other = make_fleet("other")
    mine, _ = (other if stranger == "edge" else fleet).certificate("edge-1")
    trusted = fleet.ca if stranger == "edge" else other.ca
    context = fleet_context(trusted, mine, protocol=PEER_PROTOCOL)
    edge = await dialling(make_box, context, hub.secure_address)
    await refused(edge, caplog, soon, "no peer at")
    assert not hub.peers._links


async def test_a_device_is_no_peer(make_box, fleet, hub, soon, caplog):
    """It may call over HTTP only."""
    pair, _ = fleet.certificate("edge-1", kind="device")
    edge = await dialling(make_box, fleet.dial(pair), hub.secure_address)
    await refused(edge, caplog, soon, "no peer at")
    assert not hub.peers._links


async def test_a_revoked_box_loses_its_link_and_gets_no_other(make_box, fleet, hub, soon):
    """As soon as the gateway is told."""
    pair, issued = fleet.certificate("edge-1")
    edge = await dialling(make_box, fleet.dial(pair), hub.secure_address)
    await soon(lambda: edge.sees("hub"))
    hub.peers._registry.update(AccessTable(revoked=(issued.serial,)))
    hub.peers.end_revoked()
    assert not hub.peers._links or await soon(lambda: not hub.peers._links)
    await soon(lambda: not edge.sees("hub"))


async def test_an_expired_certificate_links_nobody(make_box, fleet, hub, soon, caplog):
    """Nor one that begins later than the clock of the other side says."""
    for now in (NOW - timedelta(days=366), NOW + timedelta(hours=2)):
        caplog.clear()
        pair, _ = fleet.certificate("edge-1", now=now)
        edge = await dialling(make_box, fleet.dial(pair), hub.secure_address)
        await refused(edge, caplog, soon, "no peer at")
        await edge.aclose()


async def test_a_clock_that_is_some_minutes_off_links_all_the_same(make_box, fleet, hub, soon):
    """The hub's may be ahead of the others."""
    pair, _ = fleet.certificate("edge-1", now=NOW + timedelta(minutes=50))
    edge = await dialling(make_box, fleet.dial(pair), hub.secure_address)
    await soon(lambda: edge.sees("hub"))


async def test_without_tls_nobody_is_linked_on_a_port_with_it(make_box, hub, soon, caplog):
    """A greeting in plain text is no handshake."""
    edge = await make_box("edge-1").start(hub.secure_address)
    edge.serve(here=False)
    await refused(edge, caplog, soon, "no peer at")
    assert not hub.peers._links


async def test_a_port_without_tls_is_no_upstream(make_box, fleet, hub, soon, caplog):
    """Whoever sits there cannot talk a box out of it."""
    pair, _ = fleet.certificate("edge-1")
    edge = await dialling(make_box, fleet.dial(pair), hub.address)
    await refused(edge, caplog, soon, "no peer at")
