"""Signatures of bundles: Ed25519 (RFC 8032) over a manifest's digest, an order and an end.

The manifest names every file by SHA-256, so who signs its digest signs all of the bundle. The
sequence orders what is signed for one function, so that nobody can pass off an older bundle as the
newest one.
"""

from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edgefn.bundle.keys import SigningKey
from edgefn.errors import EdgefnError
from edgefn_runtime.manifest import DIGEST_PATTERN

# Names what is signed, so that a signature made for another purpose is none of a bundle.
_DOMAIN: Final = b"edgefn bundle signature 1"
_MAX_MS: Final = 2**53 - 1  # the largest integer that every JSON reader keeps exact
_Instant = Annotated[int, msgspec.Meta(ge=0, le=_MAX_MS)]


class BadSignature(EdgefnError):
    """A signature that its key did not make for this bundle."""

    code = "bad_signature"


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who vouches for a bundle.

    Attributes:
        key: Ed25519 public key of the signer, in hex.
        sequence: Milliseconds since 1970 when it was signed; orders the bundles of a function.
        expires_at: Not to be deployed from this instant on, as `sequence`; None: never.
        signature: Of the three above and the manifest's digest, in hex.
    """

    key: Annotated[str, msgspec.Meta(pattern=DIGEST_PATTERN)]
    sequence: _Instant
    expires_at: _Instant | None = None
    signature: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{128}\Z")]

    def encode(self) -> bytes:
        """Returns the canonical bytes: the same signature always gives the same ones."""
        return msgspec.json.encode(self)


def sign(
    key: SigningKey, digest: str, *, sequence: int, expires_at: int | None = None
) -> Signature:
    """Returns a signature of the manifest with this digest.

    Args:
        key: Of the signer.
        digest: SHA-256 of the manifest's canonical bytes, in hex.
        sequence: Milliseconds since 1970, now.
        expires_at: Milliseconds since 1970; None: never.
    """
    made = key.sign(_message(digest, sequence, expires_at))
    return Signature(key=key.public, sequence=sequence, expires_at=expires_at, signature=made.hex())


def verify(signature: Signature, digest: str) -> None:
    """Makes sure that a signature is its key's, for the manifest with this digest.

    Whether that key is trusted is another question.

    Raises:
        BadSignature: It is not.
    """
    message = _message(digest, signature.sequence, signature.expires_at)
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.key))
        key.verify(bytes.fromhex(signature.signature), message)
    except (InvalidSignature, ValueError) as error:
        raise BadSignature(
            f"the signature is not that of key {signature.key} for the manifest {digest}: the "
            "bundle was changed after it was signed, or is put together from two; get it again "
            "from whoever built it"
        ) from error


def decode_signature(data: bytes) -> Signature:
    """Parses a signature.

    Raises:
        BadSignature: It is none, or is not in its canonical form.
    """
    try:
        signature = msgspec.json.decode(data, type=Signature)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadSignature(f"not a signature: {error}") from error
    if signature.encode() != data:
        raise BadSignature("the signature is not in its canonical form: JSON without spaces")
    return signature


def _message(digest: str, sequence: int, expires_at: int | None) -> bytes:
    end = "never" if expires_at is None else str(expires_at)
    return b"\n".join((_DOMAIN, digest.encode(), str(sequence).encode(), end.encode()))
