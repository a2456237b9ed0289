"""What can go wrong between a box and its hub."""

from edgefn.errors import EdgefnError


class HubUnreachable(EdgefnError):
    """The hub does not answer, or what answers is not the hub. It may later."""

    code = "unavailable"


class HubRefuses(EdgefnError):
    """The hub answers with an error."""

    code = "unavailable"
