"""`edgefn key create`, `join`, `ls` and `revoke`: who has access to a box."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar

import msgspec
import typer

from edgefn import client
from edgefn.access.orders import Listed, NewKey, NewToken
from edgefn.cli import options, output
from edgefn.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)

_UNITS_S: Final = {"m": 60.0, "h": 3600.0, "d": 86400.0}

Functions = Annotated[
    str, typer.Option(metavar="NAME,...", help="Only these may be called; default: all.")
]


def lifetime_s(text: str) -> float:
    """Returns the seconds of a text like `90d`.

    Raises:
        typer.BadParameter: It is none.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text)
    if found is None:
        raise typer.BadParameter(f"{text[:40]!r} is no time: write it like 90d, 12h or 30m")
    return int(found[1]) * _UNITS_S[found[2]]


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the key, for lists and logs.")],
    can: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help="call; operate: also look and roll back; deploy: also bring code; admin: also "
            "make keys.",
        ),
    ] = "call",
    functions: Functions = "",
    expires: Annotated[str, typer.Option(metavar="TIME", help="As in 90d; default: never.")] = "",
    url: options.Url = None,
    json: options.Json = False,
) -> None:
    """Makes an access key, and shows it this once."""
    order = _checked(
        NewKey,
        name=name,
        can=can,
        functions=_names(functions),
        lifetime_s=lifetime_s(expires) if expires else None,
    )
    with client.AdminClient(url) as admin:
        given = admin.make_key(order)
    if json:
        output.print_json(given)
        return
    output.out.print(output.plain(given.text))
    output.note(f"shown this once; revoke it with: edgefn key revoke {given.id}")
    if given.fingerprint:
        output.note(
            "whoever has it, on their machine: edgefn login https://HOST:8443 --fingerprint "
            f"{given.fingerprint}"
        )


def join(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the box, if it is for one only.")
    ] = "",
    device: Annotated[
        bool, typer.Option("--device", help="For a device that calls, not for a box.")
    ] = False,
    functions: Functions = "",
    tls_name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST", help="Name or address under which callers reach the box; repeatable."
        ),
    ] = None,
    expires: Annotated[str, typer.Option(metavar="TIME", help="As in 30m.")] = "1h",
    url: options.Url = None,
    json: options.Json = False,
) -> None:
    """Makes a token with which one box joins the fleet of a hub."""
    order = _checked(
        NewToken,
        joins="device" if device else "box",
        name=name,
        functions=_names(functions),
        tls_names=tuple(tls_name or ()),
        lifetime_s=lifetime_s(expires),
    )
    with client.AdminClient(url) as admin:
        given = admin.make_join_token(order)
    if json:
        output.print_json(given)
        return
    output.out.print(output.plain(given.text))
    output.note(f"for one use, within {expires}; revoke it with: edgefn key revoke {given.id}")
    if not device:
        output.note("on the box: edgefn up --join https://HUB:8443, which asks for it")


def ls(url: options.Url = None, json: options.Json = False) -> None:
    """Lists access keys, join tokens, and the boxes and devices that have a certificate."""
    with client.AdminClient(url) as admin:
        listed = admin.access()
    if json:
        output.print_json(listed)
        return
    if not listed.keys and not listed.certificates:
        output.note("no keys; make one with: edgefn key create NAME")
        return
    _print(listed)


def revoke(
    named: Annotated[
        str,
        typer.Argument(metavar="KEY", help="Id of a key or token, or name of a key or box."),
    ],
    url: options.Url = None,
) -> None:
    """Has a key, or the certificate of a box or device, count no longer."""
    with client.AdminClient(url) as admin:
        admin.revoke(named)
    output.out.print(output.plain(f"{named} has no access any more"))


def _print(listed: Listed) -> None:
    table = output.table("id", "kind", "name", "can", "functions", "made", "ends")
    for key in listed.keys:
        kind = f"token for a {key.joins}" if key.joins else "key"
        table.add_row(
            key.id, kind, output.plain(key.name), "used" if key.is_used else key.can,
            ", ".join(key.functions) or "all", _day(key.created_s), _day(key.expires_s),
        )  # fmt: skip
    for held in listed.certificates:
        can = "call" if held.kind == "device" else ""
        table.add_row(
            held.serial[:8], held.kind, output.plain(held.name), can,
            ", ".join(held.functions) or "all", _day(held.issued_s), _day(held.expires_s),
        )  # fmt: skip
    output.out.print(table)
    if listed.fingerprint:
        output.note(f"fingerprint of the authority: {listed.fingerprint}")


def _day(instant_s: float | None) -> str:
    if instant_s is None:
        return "never"
    return datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%d %H:%M")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _checked(kind: type[T], **fields: object) -> T:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the box would refuse that: {error}") from error
