"""Request ids: the caller's own if it is short and plain, else made here."""

import re
import secrets
from itertools import count
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_PREFIX: Final = secrets.token_hex(6)
_NUMBERS: Final = count(1)


def make_request_id() -> str:
    """Returns an id that no other gateway process makes, for the price of a counter."""
    return f"{_PREFIX}-{next(_NUMBERS):x}"


def fit_request_id(told: str | None) -> str:
    """Returns the caller's id, or nothing if it brought none that is fit to be echoed."""
    return told if told is not None and _PLAIN.fullmatch(told) else ""


def choose_request_id(told: str | None) -> str:
    """Returns the caller's id, or a new one if it brought none that is fit to be echoed."""
    return fit_request_id(told) or make_request_id()
