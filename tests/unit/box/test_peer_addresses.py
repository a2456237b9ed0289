"""Where gateways of other boxes may call, and which boxes may be dialled."""

import pytest

from edgefn.box.listen import Listeners, check_peers
from edgefn.errors import ConfigError


def test_without_a_port_no_peer_may_call():
    """Which is how a lone box is."""
    listeners = Listeners.bind_for_peers("127.0.0.1", None, 2)
    assert (listeners.sockets, listeners.address) == ((), "")


def test_each_gateway_has_a_socket_on_one_port():
    """The kernel spreads new links over them."""
    listeners = Listeners.bind_for_peers("127.0.0.1", 0, 2)
    try:
        addresses = {sock.getsockname() for sock in listeners.sockets}
        assert len(listeners.sockets) == 2 and len(addresses) == 1
        assert listeners.address == f"127.0.0.1:{addresses.pop()[1]}"
    finally:
        listeners.close()


def test_peers_are_not_listened_for_where_others_reach_the_box():
    """Links have no TLS there, and there is no way to insist."""
    with pytest.raises(ConfigError, match="this port has no TLS"):
        Listeners.bind_for_peers("0.0.0.0", 0, 1)


def test_addresses_on_this_machine_may_be_dialled():
    """Of either family."""
    check_peers(("127.0.0.1:9000", "[::1]:9000"))


@pytest.mark.parametrize("peer", ["", "9000", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000"])
def test_what_is_no_address_is_refused(peer):
    """With the offending value, and one that would do."""
    with pytest.raises(ConfigError, match="write it like"):
        check_peers((peer,))


def test_another_machine_may_not_be_dialled():
    """What calls carry would be there for all to read."""
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1:9000 is on another machine"):
        check_peers(("192.0.2.1:9000",))
