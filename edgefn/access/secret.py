"""The text of access keys and join tokens: made here, and kept as a hash only.

    efk_<id>_<secret>                   an access key
    efj_<id>_<secret>_<fingerprint>     a join token, with the fingerprint of the hub's authority

The secret has 32 random bytes. There is nothing to guess or to try words on, so that one SHA-256 is
all that a hash of it needs; a slow one, as for passwords, would only let strangers keep a box busy.
The id, which is no secret, finds the one hash that is compared.
"""

import base64
import hashlib
import re
import secrets
from typing import Final

import msgspec

KEY_PREFIX: Final = "efk_"
TOKEN_PREFIX: Final = "efj_"
MAX_CHARS: Final = 200

_SECRET_BYTES: Final = 32
_ID_BYTES: Final = 5
_TEXT: Final = re.compile(r"ef[kj]_([a-z2-7]{8})_[a-z2-7]{52}(?:_([0-9a-f]{64}))?")


class Secret(msgspec.Struct, frozen=True):
    """An access key or a join token, as text and as it is kept. Its text is never logged.

    Attributes:
        id: Names it, in lists and logs.
        sha256: Of what proves it.
        fingerprint: Of the authority that a join token leads to; empty for an access key.
    """

    id: str
    sha256: bytes
    fingerprint: str = ""


def new_key() -> tuple[str, Secret]:
    """Returns the text of a new access key, and what is kept of it."""
    return _new(KEY_PREFIX, "")


def new_token(fingerprint: str) -> tuple[str, Secret]:
    """Returns the text of a new join token, and what is kept of it.

    Args:
        fingerprint: Of the authority that the joining box is to trust.
    """
    return _new(TOKEN_PREFIX, f"_{fingerprint}")


def parse_secret(text: str) -> Secret | None:
    """Returns what a text claims to be, or None if it is neither key nor token."""
    if len(text) > MAX_CHARS or (found := _TEXT.fullmatch(text)) is None:
        return None
    fingerprint = found[2] or ""
    if bool(fingerprint) != text.startswith(TOKEN_PREFIX):
        return None
    return Secret(found[1], hashlib.sha256(text.encode("ascii")).digest(), fingerprint)


def _new(prefix: str, suffix: str) -> tuple[str, Secret]:
    text = f"{prefix}{_random(_ID_BYTES)}_{_random(_SECRET_BYTES)}{suffix}"
    made = parse_secret(text)
    assert made is not None
    return text, made


def _random(count: int) -> str:
    return base64.b32encode(secrets.token_bytes(count)).decode("ascii").rstrip("=").lower()
