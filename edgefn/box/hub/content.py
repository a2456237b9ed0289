"""What a hub wants of its fleet, put together from what serves there and whom it trusts. Pure."""

import hashlib
from collections.abc import Iterable

import msgspec

from edgefn.access.table import AccessTable
from edgefn.box.revision import Revision
from edgefn.desired.state import DesiredFunction, DesiredState, RayHead, Upstream


def content_of(
    *,
    serving: Iterable[Revision],
    trusted: tuple[str, ...] | None,
    access: AccessTable,
    upstreams: tuple[Upstream, ...],
    ray: RayHead | None,
) -> DesiredState:
    """Returns a desired state that has no number yet.

    Args:
        serving: What serves on the hub.
        trusted: Public keys of those whose bundles the hub takes.
        access: As the hub's own gateways are told it. Join tokens are for the hub alone, and the
            certificate in it is the hub's own.
        upstreams: Whom boxes can dial.
        ray: The Ray cluster.
    """
    return DesiredState(
        epoch="",
        revision=0,
        functions=tuple(sorted(map(_function, serving), key=lambda one: one.name)),
        trusted=trusted,
        access=AccessTable(
            grants=tuple(grant for grant in access.grants if grant.can != "join"),
            revoked=access.revoked,
        ),
        upstreams=upstreams,
        ray=ray,
    )


def digest_of(state: DesiredState) -> str:
    """Returns the SHA-256 of all that is in a desired state beside how it is known."""
    unnumbered = msgspec.structs.replace(state, epoch="", revision=0, digest="")
    return hashlib.sha256(msgspec.json.encode(unnumbered)).hexdigest()


def _function(revision: Revision) -> DesiredFunction:
    return DesiredFunction(
        name=revision.function,
        revision=revision.number,
        digest=revision.digest,
        manifest=msgspec.Raw(revision.manifest.encode()),
        signature=revision.signature,
    )
