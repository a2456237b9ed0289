"""What is said when boxes are brought to the machines of a Ray cluster. Pure."""

import msgspec


class Found(msgspec.Struct, frozen=True, kw_only=True, tag="found"):
    """What there is on a machine.

    Attributes:
        version: Of edgefn there.
        asks_token: Whether Ray's processes there ask for a token.
        url: Where the box answers on its machine; empty: none runs.
        secure_url: Where others reach it; empty: nowhere.
        is_hub: Whether it is a hub.
        joined: URL of the hub whose fleet its state directory is of; empty: of none.
    """

    version: str
    asks_token: bool
    url: str = ""
    secure_url: str = ""
    is_hub: bool = False
    joined: str = ""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """What was asked for did not come about."""

    message: str


class Token(msgspec.Struct, frozen=True, tag="token"):
    """A join token. Its text counts once."""

    text: str


Reply = Found | Refused | Token


class Step(msgspec.Struct, frozen=True, kw_only=True, tag="step"):
    """How far a machine is. `text`: what is being done there; empty: its box is up."""

    machine: str
    text: str = ""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It was given up, and why."""

    message: str


class Prepared(msgspec.Struct, frozen=True, kw_only=True, tag="prepared"):
    """A box runs on each machine.

    Attributes:
        boxes: Their names, the hub first.
        url: Of the hub, on its own machine; empty: this is another one.
        secure_url: Of the hub, for others.
    """

    boxes: tuple[str, ...]
    url: str
    secure_url: str


Said = Step | Failed | Prepared
