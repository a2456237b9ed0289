"""One call as it comes in."""

from typing import NamedTuple


class Arrival(NamedTuple):
    """One call, with the luck that it has under whatever policy (common random numbers).

    Attributes:
        at_s: When it comes in.
        site: Index of its ingress site.
        function: Index of its function.
        size_bytes: Of its body.
        service_luck: Standard normal: the noise of its run.
        network_luck: Standard normal: the noise of its way through a network.
    """

    at_s: float
    site: int
    function: int
    size_bytes: int
    service_luck: float
    network_luck: float
