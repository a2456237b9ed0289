"""What operators order of keys and tokens, and how they are listed, as the admin API spells it."""

from typing import Annotated, Literal

import msgspec

from edgefn.access.needs import KeyKind, Kind
from edgefn.config import NAME_PATTERN

MAX_LIFETIME_S = 10 * 366 * 86400.0

Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
NameOrNone = Annotated[str, msgspec.Meta(pattern=rf"^\Z|{NAME_PATTERN}")]
TlsName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9:][A-Za-z0-9.:_-]{0,252}\Z")]
Lifetime = Annotated[float, msgspec.Meta(gt=0, le=MAX_LIFETIME_S)]


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Orders an access key. `functions` restricts one that calls; `lifetime_s` is from now."""

    name: Name
    can: KeyKind = "call"
    functions: tuple[Name, ...] = ()
    lifetime_s: Lifetime | None = None

    def __post_init__(self) -> None:
        if self.functions and self.can != "call":
            raise ValueError(
                "`functions` is for keys that only call: whoever deploys runs code as the user of "
                "the box"
            )


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Orders a join token.

    Attributes:
        joins: What it makes.
        name: Of the box or device; empty: whichever it calls itself.
        functions: That a device may call; empty: all.
        tls_names: Under which clients will reach the box.
        lifetime_s: From now.
    """

    joins: Literal["box", "device"] = "box"
    name: NameOrNone = ""
    functions: tuple[Name, ...] = ()
    tls_names: tuple[TlsName, ...] = ()
    lifetime_s: Lifetime = 3600.0


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A key or token that was made; its text is never shown again."""

    id: str
    text: str
    fingerprint: str


class ListedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key or token, without what proves it."""

    id: str
    name: str
    can: Kind
    functions: tuple[str, ...]
    created_s: float
    expires_s: float | None
    joins: str
    is_used: bool


class ListedCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """The newest certificate of a box or device."""

    kind: str
    name: str
    serial: str
    functions: tuple[str, ...]
    tls_names: tuple[str, ...]
    issued_s: float
    expires_s: float


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """All that was given out; `fingerprint` is that of the authority, if the box has one."""

    keys: tuple[ListedKey, ...]
    certificates: tuple[ListedCertificate, ...]
    fingerprint: str
