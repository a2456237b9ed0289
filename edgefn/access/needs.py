"""What a route asks of who calls it, and what each kind of access allows.

Four kinds are for people and programs, each with all that the one before it may do: `call` calls
functions, `operate` also looks, rolls back, and puts and drops events, `deploy` also brings code,
`admin` also decides who has access. The other three are for machines, and allow nothing but what
they are for.
"""

import enum
from collections.abc import Mapping
from typing import Final, Literal, get_args


class Need(enum.Enum):
    """What a route asks of who calls it."""

    NOTHING = "nothing"  # anyone: it tells no more than that there is a box
    CALL = "call"
    METRICS = "metrics"
    OPERATE = "operate"
    DEPLOY = "deploy"
    ADMIN = "admin"
    JOIN = "join"  # an unused join token
    FLEET = "fleet"  # the certificate of a box of this fleet


KeyKind = Literal["call", "operate", "deploy", "admin"]
Kind = Literal["call", "operate", "deploy", "admin", "join", "box", "device"]

KEY_KINDS: Final[tuple[str, ...]] = get_args(KeyKind)

_CALL: Final = frozenset((Need.NOTHING, Need.CALL))
_OPERATE: Final = _CALL | {Need.METRICS, Need.OPERATE}
_DEPLOY: Final = _OPERATE | {Need.DEPLOY}
_ADMIN: Final = _DEPLOY | {Need.ADMIN}

ALLOWED: Final[Mapping[Kind, frozenset[Need]]] = {
    "call": _CALL,
    "operate": _OPERATE,
    "deploy": _DEPLOY,
    "admin": _ADMIN,
    "join": frozenset((Need.NOTHING, Need.JOIN)),
    "box": frozenset((Need.NOTHING, Need.FLEET)),
    "device": _CALL,
}

# On the loopback port, where nobody says who they are; what needs an identity is not for it.
ALLOWED_LOCALLY: Final = _ADMIN
