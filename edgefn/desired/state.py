"""What a hub wants of its fleet: pulled by boxes, held against what they have, never pushed."""

import msgspec

from edgefn.access.table import AccessTable
from edgefn.bundle.signing import Signature


class DesiredFunction(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the fleet serves.

    Attributes:
        name: Under which it is called.
        revision: Its number on the hub.
        digest: SHA-256 of the manifest.
        manifest: Canonical JSON, as it was signed.
        signature: Of whoever built it.
    """

    name: str
    revision: int
    digest: str
    manifest: msgspec.Raw
    signature: Signature | None = None


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """A box of the fleet that others can dial.

    Attributes:
        box: Its name, which its certificate shows.
        tier: Its tier.
        address: Of its port with TLS, as `host:port`.
    """

    box: str
    tier: str
    address: str


class RayHead(msgspec.Struct, frozen=True, kw_only=True):
    """The Ray cluster that the boxes with Ray make up.

    Attributes:
        address: Of its head, as `host:port`.
        token: With which whoever joins it shows that they may. Never logged.
    """

    address: str
    token: str


class DesiredState(msgspec.Struct, frozen=True, kw_only=True):
    """All that a box needs to know to be one of the fleet.

    Attributes:
        epoch: Of the hub's memory: with another one, revisions cannot be compared.
        revision: Counts the changes of all that follows, upwards.
        digest: SHA-256 of all that follows, by which the hub knows what a box was told last: after
            it was restored from a copy it may have given the same number to something else.
        functions: All of them, by name. What is not here is to be removed where the hub brought it.
        trusted: Public keys whose bundles count; None: the hub keeps no list of them.
        access: Keys of callers and operators, and certificates that count no longer.
        upstreams: Whom to dial; the hub itself is not among them.
        ray: Where there is a Ray cluster.
    """

    epoch: str
    revision: int
    digest: str = ""
    functions: tuple[DesiredFunction, ...] = ()
    trusted: tuple[str, ...] | None = None
    access: AccessTable = AccessTable()
    upstreams: tuple[Upstream, ...] = ()
    ray: RayHead | None = None


class Unchanged(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a pull when nothing changed until it was to be answered."""

    unchanged: bool = True
