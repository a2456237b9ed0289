"""Why an order of keys and certificates is not carried out."""

from edgefn.errors import EdgefnError


class Conflict(EdgefnError):
    """Something of that name exists."""

    code = "conflict"


class Unknown(EdgefnError):
    """There is nothing of that name."""

    code = "not_found"


class NotAHub(EdgefnError):
    """This box has no authority."""

    code = "not_found"


class Refused(EdgefnError):
    """A token or certificate does not count any more."""

    code = "unauthorized"
