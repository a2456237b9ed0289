"""Who has access to a box that follows a hub."""

from edgefn.access.table import AccessTable, Grant, merged


def test_keys_of_the_hub_count_beside_those_of_the_box_and_join_tokens_do_not():
    """A box's own key goes before one of the same id, and what either revoked is revoked."""
    own = Grant(id="k1", name="own", can="admin", sha256=b"1" * 32)
    same = Grant(id="k1", name="hub", can="call", sha256=b"2" * 32)
    more = Grant(id="k2", name="camera", can="call", sha256=b"3" * 32)
    token = Grant(id="k3", name="", can="join", sha256=b"4" * 32)
    table = merged(
        AccessTable(grants=(own,), revoked=("a", "b"), certificate="mine"),
        AccessTable(grants=(same, more, token), revoked=("b", "c"), certificate="of the hub"),
    )
    assert table == AccessTable(grants=(own, more), revoked=("a", "b", "c"), certificate="mine")
