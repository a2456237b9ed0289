"""The alerts of a declaration, checked and made into those of a spec."""

import re
from collections.abc import Sequence
from typing import Any, Final

from edgefn.alerts.destination import parse_destination
from edgefn.errors import InvalidInput
from edgefn_runtime.expression import InvalidExpression, parse
from edgefn_runtime.manifest import NAME_PATTERN, Alert

MAX_ALERTS: Final = 16
MAX_DESTINATIONS: Final = 8
MAX_WINDOW: Final = 100

_OF: Final = re.compile(r"\s*(\d{1,4})\s+of\s+(\d{1,4})\s*\Z")
_NAME: Final = re.compile(NAME_PATTERN)
_EXAMPLE: Final = (
    'on_result=Alert(when="score > 0.9", to="webhook:https://host/path"), or a list of such'
)


class InvalidAlert(ValueError):
    """What is wrong with a declared alert, and what to write instead."""


def make_alerts(value: Any) -> tuple[Alert, ...]:
    """Returns the alerts of a spec, all fields filled.

    Args:
        value: What `on_result=` was given: an `Alert`, or several.

    Raises:
        InvalidAlert: Something in it is wrong.
    """
    alerts = [value] if isinstance(value, Alert) else value
    if not isinstance(alerts, Sequence) or not all(isinstance(one, Alert) for one in alerts):
        raise InvalidAlert(f"on_result={value!r} is no alert; write {_EXAMPLE}")
    if len(alerts) > MAX_ALERTS:
        raise InvalidAlert(f"on_result= has {len(alerts)} alerts; at most {MAX_ALERTS} may be")
    made = tuple(_made(alert, index) for index, alert in enumerate(alerts))
    names = [alert.name for alert in made]
    if len(set(names)) < len(names):
        raise InvalidAlert(f"on_result= has two alerts of one name among {names}; name them apart")
    return made


def window_of(for_: str) -> tuple[int, int]:
    """Returns k and n of `"k of n"`.

    Raises:
        InvalidAlert: It is not written so, or not 1 <= k <= n <= `MAX_WINDOW`.
    """
    found = _OF.match(for_) if isinstance(for_, str) else None
    needed, window = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= needed <= window <= MAX_WINDOW:
        raise InvalidAlert(
            f'for_={for_!r} is not "k of n" with 1 <= k <= n <= {MAX_WINDOW}; write for_="3 of 5"'
        )
    return needed, window


def _made(alert: Alert, index: int) -> Alert:
    name = alert.name or ("alert" if index == 0 else f"alert-{index + 1}")
    if not isinstance(name, str) or not _NAME.match(name):
        raise InvalidAlert(f"{name!r} cannot be the name of an alert; write name like a function's")
    needed, window = window_of("1 of 1" if alert.for_ is None else alert.for_)
    _check("when", alert.when)
    if alert.clear is not None:
        _check("clear", alert.clear)
    return Alert(
        when=alert.when.strip(),
        to=_destinations(alert.to),
        for_=f"{needed} of {window}",
        clear=None if alert.clear is None else alert.clear.strip(),
        name=name,
    )


def _check(field: str, text: Any) -> None:
    if not isinstance(text, str):
        raise InvalidAlert(f'{field}={text!r} is no string; write {field}="score > 0.9"')
    try:
        parse(text)
    except InvalidExpression as error:
        raise InvalidAlert(f"{field}={text!r}: {error.message}") from None


def _destinations(to: Any) -> tuple[str, ...]:
    texts = (to,) if isinstance(to, str) else tuple(to) if isinstance(to, list | tuple) else ()
    if not 1 <= len(texts) <= MAX_DESTINATIONS or len(set(texts)) < len(texts):
        raise InvalidAlert(
            f"to={to!r} is neither a destination nor a list of 1 to {MAX_DESTINATIONS} different "
            'ones; write to="webhook:https://host/path"'
        )
    for text in texts:
        if not isinstance(text, str):
            raise InvalidAlert(f"to={text!r} is no string")
        try:
            parse_destination(text)
        except InvalidInput as error:
            raise InvalidAlert(f"to=: {error.message}") from None
    return texts
