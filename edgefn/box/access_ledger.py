"""Who has access to a box, and the certificates of its fleet: decided and written down here."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509

from edgefn.access.authority import Authority, renewal_due
from edgefn.access.certificates import BadRequest, holder_name, key_digest, read_pair, requested_key
from edgefn.access.files import AccessFiles, read_secret
from edgefn.access.identity import Identity, IdentityKind, serial_text
from edgefn.access.joining import IssueRequest
from edgefn.access.orders import Given, Listed, NewKey, NewToken
from edgefn.access.secret import new_key, new_token
from edgefn.access.table import AccessTable
from edgefn.box.access_db import AccessDb, CertificateRow, KeyRow
from edgefn.box.access_errors import Conflict, NotAHub, Refused, Unknown
from edgefn.bundle.private_file import write_own_file
from edgefn.config import is_name
from edgefn.errors import ConfigError


class Ledger:
    """What was given out, and the authority that signs. For one thread.

    Args:
        files: Of the box.
        name: Of the box.
        tls_names: Under which clients reach it; nobody else's certificate may have them.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        files: AccessFiles,
        name: str,
        tls_names: tuple[str, ...],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._files = files
        self._name = name
        self._tls_names = tls_names
        self._clock = clock
        self.authority = Authority.open(files.authority)
        self._db = AccessDb(files.database)
        self._db.forget_expired(clock())

    def close(self) -> None:
        """Closes the database."""
        self._db.close()

    def table(self) -> AccessTable:
        """Returns what gateways are to know.

        Raises:
            ConfigError: The box's certificate is damaged.
        """
        pem = read_secret(self._files.certificate)
        serial = "" if pem is None else serial_text(read_pair(pem)[1].serial_number)
        return AccessTable(
            grants=tuple(row.grant() for row in self._db.all_keys()),
            revoked=tuple(row.identity.serial for row in self._db.certificates() if row.is_revoked),
            certificate=serial,
        )

    def certificate(self) -> x509.Certificate | None:
        """Returns the box's own certificate, if it has one."""
        pem = read_secret(self._files.certificate)
        return None if pem is None else read_pair(pem)[1]

    def is_renewal_due(self) -> bool:
        """Whether the box has a certificate of which a third is over."""
        certificate = self.certificate()
        return certificate is not None and renewal_due(certificate, self.now())

    def certify_self(self) -> None:
        """Gives the box that has the authority a certificate, as its hub."""
        assert self.authority is not None
        holder = Identity(kind="box", name=self._name, is_hub=True)
        pair, _ = self.authority.issue_pair(holder, now=self.now(), tls_names=self._tls_names)
        write_own_file(self._files.fleet, self.authority.pem, replace=True)
        write_own_file(self._files.certificate, pair, replace=True)

    def listed(self) -> Listed:
        """Returns all that was given out and counts."""
        newest = {
            (row.identity.kind, row.identity.name): row
            for row in self._db.certificates()
            if not row.is_revoked
        }
        return Listed(
            keys=tuple(row.listed() for row in self._db.all_keys()),
            certificates=tuple(row.listed() for row in newest.values()),
            fingerprint=self.authority.fingerprint if self.authority else "",
        )

    def authority_pem(self) -> str:
        """Returns the certificate of the authority.

        Raises:
            NotAHub: This box has none.
        """
        return self._authority().pem

    def make_key(self, order: NewKey) -> Given:
        """Gives out an access key.

        Raises:
            Conflict: There is one of that name.
        """
        if any(_is_key(row, order.name) for row in self._db.all_keys()):
            raise Conflict(f"there is a key {order.name!r}: revoke it, or choose another name")
        text, secret = new_key()
        self._db.add_key(
            KeyRow(
                id=secret.id, name=order.name, can=order.can, sha256=secret.sha256,
                functions=order.functions, created_s=self._clock(),
                expires_s=self._ends(order.lifetime_s),
            )
        )  # fmt: skip
        return Given(id=secret.id, text=text, fingerprint=self.listed().fingerprint)

    def make_token(self, order: NewToken) -> Given:
        """Gives out a join token.

        Raises:
            NotAHub: This box signs no certificates.
            Conflict: The box's name or a name for TLS is that of the hub.
        """
        authority = self._authority()
        self._check_names(order.name, order.tls_names)
        text, secret = new_token(authority.fingerprint)
        self._db.add_key(
            KeyRow(
                id=secret.id, name=order.name, can="join", sha256=secret.sha256,
                functions=order.functions, created_s=self._clock(), joins=order.joins,
                expires_s=self._ends(order.lifetime_s), tls_names=order.tls_names,
            )
        )  # fmt: skip
        return Given(id=secret.id, text=text, fingerprint=authority.fingerprint)

    def revoke(self, named: str) -> None:
        """Has a key, a token or the certificates of a box or device count no longer.

        Args:
            named: Id of a key or token, or the name of a key, box or device.

        Raises:
            Unknown: There is none.
            Conflict: Several have that name.
        """
        keys = [row for row in self._db.all_keys() if named == row.id or _is_key(row, named)]
        holders = {
            (row.identity.kind, row.identity.name)
            for row in self._db.certificates()
            if row.identity.name == named and not row.is_revoked
        }
        if not keys and not holders:
            raise Unknown(f"there is no key, box or device {named[:100]!r}; see edgefn key ls")
        if len(keys) + len(holders) > 1:
            raise Conflict(f"several have the name {named!r}: revoke a key by its id")
        for row in keys:
            self._db.remove_key(row.id)
        for kind, name in holders:
            self._db.revoke(kind, name)

    def join(self, token: str, ask: IssueRequest) -> str:
        """Returns a certificate for whoever shows a token, the first time; also to the same again.

        Args:
            token: Its id; the gateway has seen that it was the right one.
            ask: What is asked for.

        Raises:
            Refused: The token was used, has expired, or is for another name.
            Conflict: Another box has the name.
            BadRequest: It is no request for a certificate.
        """
        authority = self._authority()
        key = requested_key(ask.request)
        row = next((one for one in self._db.all_keys() if one.id == token and one.joins), None)
        if row is None or (row.expires_s is not None and self._clock() >= row.expires_s):
            raise Refused("the join token has expired; make another with: edgefn key join")
        if row.used_by not in (None, key_digest(key)):
            raise Refused("the join token was used; make another with: edgefn key join")
        if row.name and ask.name != row.name:
            raise Refused(f"the join token is for {row.joins} {row.name!r}, not {ask.name!r}")
        if not is_name(ask.name):
            raise BadRequest(f"{ask.name[:100]!r} cannot be the name of a box or device")
        kind: IdentityKind = "device" if row.joins == "device" else "box"
        held = any(
            one.identity.kind == kind and one.identity.name == ask.name and not one.is_revoked
            for one in self._db.certificates()
        )
        # A token that an operator made for this very name stands for the one that has it now.
        if held and not row.name and row.used_by is None:
            raise Conflict(
                f"there is a {kind} {ask.name!r} already: choose another name, or, if it is the "
                f"same, make a token for it with: edgefn key join {ask.name}"
            )
        self._check_names(ask.name, ())
        holder = Identity(kind=kind, name=ask.name, functions=row.functions)
        pem, issued = authority.issue(key, holder, now=self.now(), tls_names=row.tls_names)
        given = self._row(issued, row.tls_names)
        self._db.issued(given, token=row.id, used_by=key_digest(key), replaces=held)
        return pem

    def renew(self, serial: str, ask: IssueRequest) -> str:
        """Returns a newer certificate for a box of the fleet.

        Args:
            serial: Number of the certificate that it showed.
            ask: What is asked for.

        Raises:
            Refused: That certificate is not known here.
            BadRequest: It is no request for a certificate.
        """
        authority = self._authority()
        key = requested_key(ask.request)
        rows = [row for row in self._db.certificates() if row.identity.serial == serial]
        if not rows or rows[0].is_revoked:
            raise Refused("the certificate is not known here: join again, with a new token")
        (row,) = rows
        pem, issued = authority.issue(key, row.identity, now=self.now(), tls_names=row.tls_names)
        self._db.issued(self._row(issued, row.tls_names))
        return pem

    def now(self) -> datetime:
        """Returns the time, in whole seconds, which is what certificates know."""
        return datetime.fromtimestamp(int(self._clock()), UTC)

    def check_name(self) -> None:
        """Makes sure that the box has the name under which it joined.

        Raises:
            ConfigError: It was started with another one.
        """
        certificate = self.certificate()
        held = "" if certificate is None else holder_name(certificate)
        if held not in ("", self._name):
            raise ConfigError(
                f"this box joined its fleet as {held!r} and is now called {self._name!r}: start it "
                f"with --name {held}, or have it join again with --join and a new token"
            )

    def _authority(self) -> Authority:
        if self.authority is None:
            raise NotAHub("this box is no hub: it gives out no certificates; see edgefn up --hub")
        return self.authority

    def _check_names(self, name: str, tls_names: tuple[str, ...]) -> None:
        """Refuses what would let a box pass for the hub."""
        own = {self._name, *self._tls_names}
        for one in (name, *tls_names):
            if one in own:
                raise Conflict(f"{one!r} is a name of the hub: choose another")

    def _row(self, issued: Identity, tls_names: tuple[str, ...]) -> CertificateRow:
        return CertificateRow(
            identity=issued, tls_names=tls_names, issued_s=self._clock(), is_revoked=False
        )

    def _ends(self, lifetime_s: float | None) -> float | None:
        return None if lifetime_s is None else self._clock() + lifetime_s


def _is_key(row: KeyRow, name: str) -> bool:
    return row.name == name and not row.joins
