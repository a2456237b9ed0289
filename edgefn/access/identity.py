"""What a certificate of the fleet says of its holder, in URIs among its alternative names.

    edgefn:box:NAME  edgefn:device:NAME     who holds it
    edgefn:hub                              beside a box: the one that holds the desired state
    edgefn:function:NAME                    beside a device: it may call this, and no other

A name for TLS says where something answers, and whoever runs a box could choose one; these say who
it is, and only the hub writes them.
"""

import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

PREFIX: Final = "edgefn:"

IdentityKind = Literal["box", "device"]


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The holder of a certificate.

    Attributes:
        kind: A box, or a device that calls.
        name: Of the box or the device.
        is_hub: Whether it holds the desired state of the fleet.
        functions: That a device may call; empty: all.
        serial: Number of the certificate, 40 hex digits.
        expires_s: When it ends, in seconds since 1970.
    """

    kind: IdentityKind
    name: str
    is_hub: bool = False
    functions: tuple[str, ...] = ()
    serial: str = ""
    expires_s: float = 0.0

    def uris(self) -> list[str]:
        """Returns what its certificate says of it."""
        said = [f"{PREFIX}{self.kind}:{self.name}"]
        if self.is_hub:
            said.append(f"{PREFIX}hub")
        return said + [f"{PREFIX}function:{name}" for name in self.functions]


def serial_text(serial: int) -> str:
    """Returns the serial number of a certificate as it is written here."""
    return f"{serial:040x}"


def identity_of(certificate: Mapping[str, Any] | None) -> Identity | None:
    """Returns who holds a verified certificate; None if it says nothing of a fleet.

    Args:
        certificate: As `ssl.SSLObject.getpeercert` returns it, which is nothing at all if the
            certificate was not verified.
    """
    if not certificate:
        return None
    said = [
        value[len(PREFIX) :]
        for kind, value in certificate.get("subjectAltName", ())
        if kind == "URI" and value.startswith(PREFIX)
    ]
    names = [one.partition(":")[::2] for one in said]
    holders = [(kind, name) for kind, name in names if kind in ("box", "device")]
    if len(holders) != 1:
        return None
    ((kind, name),) = holders
    return Identity(
        kind="box" if kind == "box" else "device",
        name=name,
        is_hub="hub" in said,
        functions=_named(names, "function"),
        serial=serial_text(int(certificate["serialNumber"], 16)),
        expires_s=float(ssl.cert_time_to_seconds(certificate["notAfter"])),
    )


def _named(names: Sequence[tuple[str, ...]], wanted: str) -> tuple[str, ...]:
    return tuple(name for kind, name in names if kind == wanted)
