"""What operators may order."""

from typing import Any

import msgspec
import pytest

from edgefn.access.orders import NewKey, NewToken


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (NewKey, {"name": "ci\n"}),
        (NewKey, {"name": ""}),
        (NewKey, {"name": "a,b"}),
        (NewKey, {"name": "ci", "can": "join"}),
        (NewKey, {"name": "ci", "can": "box"}),
        (NewKey, {"name": "ci", "lifetime_s": 0}),
        (NewKey, {"name": "ci", "lifetime_s": 1e18}),
        (NewKey, {"name": "ci", "functions": ["a,b"]}),
        (NewKey, {"name": "ci", "can": "deploy", "functions": ["voice"]}),
        (NewKey, {"name": "ci", "more": 1}),
        (NewToken, {"name": "a b"}),
        (NewToken, {"joins": "hub"}),
        (NewToken, {"tls_names": ["a,b"]}),
        (NewToken, {"tls_names": ["a\n"]}),
        (NewToken, {"tls_names": ["*.plant"]}),
        (NewToken, {"lifetime_s": None}),
    ],
)
def test_what_makes_no_sense_is_refused(kind: Any, fields: dict[str, Any]) -> None:
    """Names end up in lists, logs and certificates; a key that deploys cannot be narrowed down."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(fields), type=kind)


def test_what_makes_sense_is_taken() -> None:
    """Also addresses, and tokens for nobody in particular."""
    msgspec.convert({"name": "ci.2", "functions": ["voice"], "lifetime_s": 60}, NewKey)
    msgspec.convert({"tls_names": ["10.0.0.5", "fd00::1", "plant-1.local"]}, NewToken)
    msgspec.convert({"name": "plant-1", "joins": "device"}, NewToken)
