"""Who a request is from, and what it may do. Pure."""

from hmac import compare_digest
from typing import Final

import msgspec

from edgefn.access.identity import Identity
from edgefn.access.needs import ALLOWED, ALLOWED_LOCALLY, Need
from edgefn.access.secret import parse_secret
from edgefn.access.table import AccessTable, Grant
from edgefn.errors import EdgefnError

_UNKNOWN: Final = Grant(id="", name="", can="call", sha256=bytes(32))


class Unauthorized(EdgefnError):
    """Whoever asks did not show who they are, or with what is not accepted here."""

    code = "unauthorized"


class NotAllowed(EdgefnError):
    """Whoever asks is known, and may not do this."""

    code = "forbidden"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who a request is from.

    Attributes:
        id: Of the key, or the serial number of the certificate; empty if there is neither.
        name: For logs and sentences.
        allowed: What it may do.
        functions: That it may call; empty: all.
    """

    id: str = ""
    name: str
    allowed: frozenset[Need]
    functions: tuple[str, ...] = ()

    def may_call(self, function: str) -> bool:
        """Whether it may call a function, or see that there is one."""
        return not self.functions or function in self.functions


NOBODY: Final = Caller(name="nobody", allowed=frozenset((Need.NOTHING,)))
LOCAL: Final = Caller(name="this machine", allowed=ALLOWED_LOCALLY)


class Registry:
    """The keys and certificates that count. The clock is handed in."""

    def __init__(self, table: AccessTable | None = None) -> None:
        self._grants: dict[str, Grant] = {}
        self._revoked: frozenset[str] = frozenset()
        self.update(table or AccessTable())

    def update(self, table: AccessTable) -> None:
        """Takes the whole table."""
        self._grants = {grant.id: grant for grant in table.grants}
        self._revoked = frozenset(table.revoked)

    def by_secret(self, text: str, now_s: float) -> Caller:
        """Returns who holds an access key or a join token.

        Args:
            text: Of the key, as it was sent.
            now_s: Seconds since 1970.

        Raises:
            Unauthorized: It is not known here, was revoked, or has expired.
        """
        claimed = parse_secret(text)
        if claimed is None:
            raise Unauthorized("what was sent as a key is none: keys begin with efk_")
        grant = self._grants.get(claimed.id, _UNKNOWN)
        if not compare_digest(grant.sha256, claimed.sha256) or grant is _UNKNOWN:
            raise Unauthorized("the key is not known here; it may have been revoked")
        if grant.expires_s is not None and now_s >= grant.expires_s:
            raise Unauthorized(f"the key {grant.name!r} has expired; ask for another")
        return Caller(
            id=grant.id, name=grant.name, allowed=ALLOWED[grant.can], functions=grant.functions
        )

    def by_certificate(self, identity: Identity, now_s: float) -> Caller:
        """Returns who holds a certificate that TLS has verified.

        Args:
            identity: What the certificate says.
            now_s: Seconds since 1970: a connection may outlive a certificate.

        Raises:
            Unauthorized: It was revoked, or has expired meanwhile.
        """
        self.check_certificate(identity, now_s)
        return Caller(
            id=identity.serial,
            name=identity.name,
            allowed=ALLOWED[identity.kind],
            functions=identity.functions,
        )

    def check_certificate(self, identity: Identity, now_s: float) -> None:
        """Makes sure that a certificate still counts.

        Raises:
            Unauthorized: It was revoked, or has expired meanwhile.
        """
        if identity.serial in self._revoked:
            raise Unauthorized(f"the certificate of {identity.kind} {identity.name!r} was revoked")
        if now_s >= identity.expires_s:
            raise Unauthorized(f"the certificate of {identity.kind} {identity.name!r} has expired")


def check_allowed(caller: Caller, need: Need, function: str) -> None:
    """Makes sure that a caller may do what a route needs.

    Args:
        caller: Who asks.
        need: Of the route.
        function: That is named in its path, or nothing.

    Raises:
        Unauthorized: Nobody said who they are.
        NotAllowed: They did, and may not.
    """
    if need not in caller.allowed:
        if caller is NOBODY:
            raise Unauthorized(
                "this needs a key: send it as Authorization: Bearer efk_..., or a certificate of "
                "this fleet. An operator makes one with: edgefn key create NAME"
            )
        raise NotAllowed(f"{caller.name!r} has no access to this: it needs {need.value!r}")
    if function and not caller.may_call(function):
        raise NotAllowed(f"{caller.name!r} has no access to function {function[:100]!r}")
