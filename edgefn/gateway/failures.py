"""How often an address failed to show who it is, and when it may try again. Pure.

A key cannot be guessed, so this is no protection of keys: it keeps whoever tries all the same from
filling the log and the processor. A good key is taken however often others failed from its address.
"""

import ipaddress
from collections import OrderedDict
from typing import Final

ALLOWED: Final = 10
WITHIN_S: Final = 60.0
_MAX_ADDRESSES: Final = 4096
_IPV6_SITE: Final = 64  # bits: whoever has one address of them has all


class Failures:
    """A bucket of failures for each address, which leaks over time."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def note(self, address: str, now_s: float) -> float | None:
        """Counts a failure.

        Args:
            address: From which it came.
            now_s: A monotonic instant.

        Returns:
            None if it may be told what was wrong; else after how many seconds it may ask again.
        """
        where = _whose(address)
        level, since_s = self._buckets.pop(where, (0.0, now_s))
        leaked = max(0.0, level - (now_s - since_s) * ALLOWED / WITHIN_S)
        refused = leaked + 1 > ALLOWED
        self._buckets[where] = (leaked if refused else leaked + 1, now_s)
        if len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return (leaked + 1 - ALLOWED) * WITHIN_S / ALLOWED if refused else None


def _whose(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_SITE), strict=False))
