"""Times, shares and rates as people write them."""

import re
from typing import Final

_NUMBER: Final = r"(\d+(?:\.\d*)?|\.\d+)"
_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_BITS: Final = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}


def duration_s(text: str) -> float:
    """Returns the seconds of a text like `60ms`.

    Raises:
        ValueError: It is none; the message says what is.
    """
    return _quantity(text, _SECONDS, "a time like 60ms, 0.2s or 500us")


def rate_bps(text: str) -> float:
    """Returns the bits a second of a text like `20mbit`.

    Raises:
        ValueError: It is none; the message says what is.
    """
    return _quantity(text, _BITS, "a rate like 20mbit, 500kbit or 1gbit, each a second")


def share(text: str) -> float:
    """Returns the share, from 0 to 1, of a text like `1%` or `0.01`.

    Raises:
        ValueError: It is none; the message says what is.
    """
    found = re.fullmatch(_NUMBER + "(%?)", text.strip())
    value = float(found[1]) / (100.0 if found[2] else 1.0) if found else 2.0
    if value > 1.0:
        raise ValueError(f"expected a share like 1% or 0.01, not {text!r}")
    return value


def _quantity(text: str, units: dict[str, float], expected: str) -> float:
    found = re.fullmatch(_NUMBER + " ?([a-z]*)", text.strip().lower())
    if found and found[2] in units:
        return float(found[1]) * units[found[2]]
    if found and float(found[1]) == 0.0:
        return 0.0
    raise ValueError(f"expected {expected}, not {text!r}")


def say_duration(value_s: float) -> str:
    """Returns a time in ms as people write it."""
    return f"{value_s * 1000:g} ms"


def say_rate(value_bps: float) -> str:
    """Returns a rate as people write it; one of 0 is no limit."""
    return f"{value_bps / 1e6:g} Mbit/s" if value_bps else "unlimited"
