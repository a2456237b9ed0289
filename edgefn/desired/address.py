"""Where a box of a fleet can be dialled, in writing: `host:port`, and `[host]:port` with IPv6."""

import re
from typing import Final

_PORT: Final = (
    "(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
)
ADDRESS_PATTERN: Final = rf"^(?:[A-Za-z0-9._-]{{1,253}}|\[[0-9A-Fa-f:.]{{2,45}}\]):{_PORT}\Z"

_ADDRESS: Final = re.compile(ADDRESS_PATTERN)


def is_address(text: str) -> bool:
    """Whether a text is an address that can be dialled."""
    return _ADDRESS.fullmatch(text) is not None
