"""What a box tells its gateways of who has access."""

import msgspec

from edgefn.access.needs import Kind


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """An access key or a join token, as gateways know it.

    Attributes:
        id: Of the key; finds it.
        name: That its maker gave it.
        can: What it allows.
        sha256: Of its text.
        functions: That it may call; empty: all.
        expires_s: From when on it is refused, in seconds since 1970; None: never.
    """

    id: str
    name: str
    can: Kind
    sha256: bytes
    functions: tuple[str, ...] = ()
    expires_s: float | None = None


class AccessTable(msgspec.Struct, frozen=True, kw_only=True, tag="access"):
    """The whole table, sent at every change.

    Attributes:
        grants: Keys and tokens that are neither revoked nor long expired.
        revoked: Serial numbers of certificates that count no longer.
        certificate: Serial number of the box's own; with another one, it is to be loaded anew.
    """

    grants: tuple[Grant, ...] = ()
    revoked: tuple[str, ...] = ()
    certificate: str = ""


def merged(own: AccessTable, fleet: AccessTable) -> AccessTable:
    """Returns who has access to a box that follows a hub: by its own keys, and by those of the hub.

    Join tokens are for the hub alone. What is revoked at either does not count.

    Args:
        own: The box's table.
        fleet: The hub's.
    """
    known = {grant.id for grant in own.grants}
    brought = (one for one in fleet.grants if one.can != "join" and one.id not in known)
    return AccessTable(
        grants=(*own.grants, *brought),
        revoked=tuple(dict.fromkeys((*own.revoked, *fleet.revoked))),
        certificate=own.certificate,
    )
