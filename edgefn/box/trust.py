"""Whose bundles a box takes, and that none of them is older than what served before.

A box that was told nothing takes what its own user's key signed. A box with a list of trusted keys,
one a line in the file `trusted_keys` of its state directory, takes nothing else. Both are read when
they are needed, so that a change holds at once.
"""

import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgefn.bundle.keys import fingerprint, is_public_key, read_public_key
from edgefn.bundle.private_file import read_own_file, write_own_file
from edgefn.bundle.signing import Signature, verify
from edgefn.errors import ConfigError, EdgefnError

TRUST_FILE: Final = "trusted_keys"


class Untrusted(EdgefnError):
    """A bundle that nobody signed whom this box trusts."""

    code = "untrusted"


class Expired(EdgefnError):
    """A bundle whose signature was to be used up to some instant only."""

    code = "expired"


class Older(EdgefnError):
    """A bundle that was signed before the newest one that served."""

    code = "older"


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The newest bundle of a function that served here since the function was last removed.

    Attributes:
        sequence: Of its signature.
        digest: Of its manifest.
    """

    sequence: int
    digest: str


class TrustList:
    """The keys that an operator told a box to trust. Everything here blocks."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / TRUST_FILE

    def keys(self) -> tuple[str, ...] | None:
        """Returns the keys in the order in which they came; None if there is no list.

        Raises:
            ConfigError: The list is damaged, or others could change it.
        """
        text = read_own_file(self.path, refused=stat.S_IWGRP | stat.S_IWOTH)
        if text is None:
            return None
        lines = [line.partition("#")[0].strip() for line in text.splitlines()]
        for number, line in enumerate(lines, 1):
            if line and not is_public_key(line):
                raise ConfigError(
                    f"{self.path}, line {number}: {line[:80]!r} is no public key; delete the line"
                )
        return tuple(dict.fromkeys(line for line in lines if line))

    def add(self, key: str) -> None:
        """Trusts a key. With the first one there is a list.

        Raises:
            ConfigError: As `keys`, or the list cannot be written.
        """
        self._write((*(self.keys() or ()), key))

    def remove(self, key: str) -> bool:
        """Trusts a key no longer; returns whether it was trusted. The list stays, even empty.

        Raises:
            ConfigError: As `keys`, or the list cannot be written.
        """
        keys = self.keys() or ()
        if key not in keys:
            return False
        self._write(tuple(one for one in keys if one != key))
        return True

    def _write(self, keys: tuple[str, ...]) -> None:
        text = "".join(f"{key}\n" for key in dict.fromkeys(keys))
        write_own_file(self.path, text, replace=True)


class Trust:
    """What a box demands of signatures. Everything here blocks, for a moment.

    Args:
        state_dir: Of the box.
        config_dir: Where its own user's keys are.
        clock: Seconds since 1970.
    """

    def __init__(
        self, state_dir: Path, config_dir: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self._list = TrustList(state_dir)
        self._config_dir = config_dir
        self._clock = clock

    def admit(self, signature: Signature | None, digest: str, newest: Newest | None) -> None:
        """Makes sure that a bundle may be deployed.

        Args:
            signature: That came with it.
            digest: Of its manifest.
            newest: Of its function.

        Raises:
            Untrusted: As `check`.
            BadSignature: As `check`.
            Expired: It was to be used up to some instant only.
            Older: It was signed before the newest one that served.
        """
        signed = self.check(signature, digest)
        check_order(signed, digest, newest, now_ms=int(self._clock() * 1000))

    def check(self, signature: Signature | None, digest: str) -> Signature:
        """Makes sure that someone signed a bundle whom the box trusts; returns the signature.

        Args:
            signature: That came with it, if one did.
            digest: Of its manifest.

        Raises:
            Untrusted: Nobody did, or the box does not trust whoever did.
            BadSignature: It is not the signature of that key, or of that bundle.
        """
        if signature is None:
            raise Untrusted("the bundle is not signed; build it again, with this version of edgefn")
        verify(signature, digest)
        try:
            listed = self._list.keys()
            own = read_public_key(self._config_dir) if listed is None else None
        except ConfigError as error:
            raise Untrusted(f"the box cannot tell whom it trusts: {error.message}") from error
        if signature.key not in (listed if listed is not None else (own,)):
            raise Untrusted(
                f"the bundle is signed by key {fingerprint(signature.key)}, which this box does "
                "not trust. If you do, on the box, as its user: edgefn key trust "
                f"{signature.key} --state-dir {self._list.path.parent}",
                key=signature.key,
            )
        return signature

    def check_followed(
        self, signature: Signature | None, digest: str, trusted: tuple[str, ...] | None
    ) -> None:
        """Makes sure that a bundle may serve that the box's hub wants to serve.

        A list of the box's own counts beside that of the hub: whoever takes a hub over brings
        nothing to a box whose operator wrote down whom it trusts. Without any list, the hub, which
        showed its certificate, vouches for whose bundles it deployed.

        Args:
            signature: That came with it, if one did.
            digest: Of its manifest.
            trusted: Keys that the hub trusts; None: it keeps no list.

        Raises:
            Untrusted: Nobody signed it, or a list does not have whoever did.
            BadSignature: It is not the signature of that key, or of that bundle.
        """
        if signature is None:
            raise Untrusted("the bundle is not signed; build it again, with this version of edgefn")
        verify(signature, digest)
        try:
            own = self._list.keys()
        except ConfigError as error:
            raise Untrusted(f"the box cannot tell whom it trusts: {error.message}") from error
        for whose, keys in (("this box", own), ("the hub", trusted)):
            if keys is not None and signature.key not in keys:
                raise Untrusted(
                    f"the bundle is signed by key {fingerprint(signature.key)}, which {whose} does "
                    f"not trust; if you do, there: edgefn key trust {signature.key}",
                    key=signature.key,
                )


def check_order(signature: Signature, digest: str, newest: Newest | None, *, now_ms: int) -> None:
    """Makes sure that a signature is neither expired nor older than what served. Pure.

    Args:
        signature: Of the bundle; verified.
        digest: Of its manifest.
        newest: The newest bundle of its function that ever served.
        now_ms: Milliseconds since 1970, as far as the box knows.

    Raises:
        Expired: It was to be used up to some instant only.
        Older: It was signed before the newest one, or at the same instant as another.
    """
    served = newest.sequence if newest else 0
    # What was signed is no later than now: a clock that was set back does not revive a bundle.
    now_ms = max(now_ms, served)
    if signature.expires_at is not None and signature.expires_at <= now_ms:
        raise Expired(
            "the signature of the bundle has expired; get a newer bundle from whoever built it",
            expires_at=signature.expires_at,
        )
    if newest is None or signature.sequence > served:
        return
    if (signature.sequence, digest) != (served, newest.digest):
        raise Older(
            "a bundle that was signed later has served already; an older one comes back only "
            "through `edgefn rollback`, and a new build is always newer",
            sequence=signature.sequence,
            newest=served,
        )
