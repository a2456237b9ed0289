"""What callers say in headers, checked."""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from multidict import istr

from edgefn.errors import InvalidInput
from edgefn.gateway.errors import UnsupportedMediaType
from edgefn.routing.choice import Choice
from edgefn_runtime.manifest import FunctionSchema
from edgefn_runtime.wire import Content

ACCEPT: Final = istr("Accept")
CONTENT_ENCODING: Final = istr("Content-Encoding")
CONTENT_LENGTH: Final = istr("Content-Length")
CONTENT_TYPE: Final = istr("Content-Type")
DEADLINE_MS: Final = istr("Edgefn-Deadline-Ms")
EXPECT: Final = istr("Expect")
IDEMPOTENCY_KEY: Final = istr("Idempotency-Key")
MIN_ACCURACY: Final = istr("Edgefn-Min-Accuracy")
PRIORITY: Final = istr("Edgefn-Priority")
SOURCE: Final = istr("Edgefn-Source")
TRACEPARENT: Final = istr("traceparent")
TRACESTATE: Final = istr("tracestate")
VARIANT: Final = istr("Edgefn-Variant")
REQUEST_ID: Final = istr("X-Request-Id")
TRANSFER_ENCODING: Final = istr("Transfer-Encoding")
V2_HEADER_LENGTH: Final = istr("Inference-Header-Content-Length")

MAX_SOURCE_CHARS: Final = 100
MAX_DEADLINE_MS: Final = 24 * 3600 * 1000.0
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z"
)

_CONTENTS: Final = {
    "application/json": Content.JSON,
    "application/msgpack": Content.MSGPACK,
    "application/x-msgpack": Content.MSGPACK,
}


@lru_cache(maxsize=256)
def media_type(header: str) -> str:
    """Returns the type that a `Content-Type` names, in lower case, without parameters."""
    return header.partition(";")[0].strip().lower()


def content_of(told: str | None, schema: FunctionSchema) -> int:
    """Returns how a call's body is encoded, by its `Content-Type`.

    Raises:
        UnsupportedMediaType: The function does not take such bodies.
    """
    name = media_type(told) if told is not None else None
    content = _CONTENTS.get(name) if name is not None else None
    if content is not None:
        return content
    if name in schema.media_types:
        return Content.MEDIA
    accepted = ", ".join(("application/json", "application/msgpack", *schema.media_types))
    what = "there is no Content-Type" if told is None else f"Content-Type is {told[:100]!r}"
    raise UnsupportedMediaType(f"{what}; this function takes {accepted}")


@lru_cache(maxsize=256)
def accepted_content(told: str | None) -> int | None:
    """Returns the encoding that an `Accept` asks for, or None if it leaves the choice.

    The first type in it that is spoken here counts; weights are not compared.
    """
    for part in (told or "").split(","):
        content = _CONTENTS.get(media_type(part))
        if content is not None:
            return content
    return None


def answer_content(content: int, accept: str | None) -> int:
    """Returns how the answer to a call is encoded: as asked for, else like the call."""
    asked = accepted_content(accept)
    if asked is not None:
        return asked
    return Content.JSON if content == Content.MEDIA else content


def budget_s(headers: Mapping[str, str], default_s: float | None) -> float | None:
    """Returns how long the caller waits, or the function's default.

    Raises:
        InvalidInput: `Edgefn-Deadline-Ms` is not a positive number.
    """
    told = headers.get(DEADLINE_MS)
    if told is None:
        return default_s
    value = _number(told)
    if value is None or not 0.0 < value <= MAX_DEADLINE_MS:
        raise InvalidInput(
            f"Edgefn-Deadline-Ms must be a number of milliseconds above 0 and at most "
            f"{MAX_DEADLINE_MS:.0f}, not {told[:100]!r}"
        )
    return value / 1000.0


def choice_of(headers: Mapping[str, str]) -> Choice | None:
    """Returns what a caller asks of the variant, or None for most, who leave it to the function.

    Raises:
        InvalidInput: `Edgefn-Min-Accuracy` is not a number from 0 to 1.
    """
    variant, told = headers.get(VARIANT, ""), headers.get(MIN_ACCURACY)
    if told is None:
        return Choice(variant=variant) if variant else None
    value = _number(told)
    if value is None or not 0.0 <= value <= 1.0:
        raise InvalidInput(f"Edgefn-Min-Accuracy must be a number from 0 to 1, not {told[:100]!r}")
    return Choice(variant=variant, min_accuracy=value) if variant or value else None


def priority_of(headers: Mapping[str, str], default: int) -> int:
    """Returns the priority of a call, or the function's.

    Raises:
        InvalidInput: `Edgefn-Priority` is not a digit.
    """
    told = headers.get(PRIORITY)
    if told is None:
        return default
    if len(told) != 1 or told not in "0123456789":
        raise InvalidInput(
            f"Edgefn-Priority must be a whole number from 0 to 9, the more urgent the higher, not "
            f"{told[:100]!r}"
        )
    return int(told)


def source_of(headers: Mapping[str, str]) -> str:
    """Returns of what the call tells: a machine, a camera; nothing if it does not say.

    Raises:
        InvalidInput: `Edgefn-Source` is too long, or not plain text.
    """
    told = headers.get(SOURCE, "")
    if len(told) > MAX_SOURCE_CHARS or not (told.isascii() and told.isprintable()):
        raise InvalidInput(
            f"Edgefn-Source must be at most {MAX_SOURCE_CHARS} printable ASCII characters, not "
            f"{told[:MAX_SOURCE_CHARS]!r}"
        )
    return told


def traceparent_of(headers: Mapping[str, str]) -> str:
    """Returns the caller's place in its trace (W3C Trace Context), or nothing if it names none.

    What is malformed is ignored, as that standard wants it.
    """
    return fit_traceparent(headers.get(TRACEPARENT, ""))


def fit_traceparent(told: str) -> str:
    """Returns a traceparent if it is well-formed, or nothing."""
    return told if told and _TRACEPARENT.match(told) else ""


def _number(text: str) -> float | None:
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
