"""The admin API: an operator's request in, the box's answer out."""

import asyncio
import logging
import re
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Protocol, TypeVar

import msgspec

from edgefn.box.access import Access
from edgefn.box.access_admin import ACCESS_ROUTES, AccessHandler
from edgefn.box.access_errors import NotAHub
from edgefn.box.deployments import Deployments
from edgefn.box.events import DropQuery, Events, PutEvents, TailQuery
from edgefn.box.hub.admin import HUB_ROUTES, HubHandler
from edgefn.box.hub.hub import Hub
from edgefn.box.logs import Logs
from edgefn.box.status import revision_status
from edgefn.bundle.signing import decode_signature
from edgefn.errors import EdgefnError, ErrorBody, InvalidInput, NotDeployed
from edgefn.gateway.control import Answered, Ask
from edgefn.gateway.errors import MethodNotAllowed, NotFound, StorageFailed, Unavailable
from edgefn.gateway.statuses import status_of
from edgefn_runtime.manifest import decode_canonical_manifest

MAX_ANSWER_BYTES: Final = 7 * 1024 * 1024 + 512 * 1024  # a message to a gateway has at most 8 MiB
MAX_LOG_LINES: Final = 500
DEFAULT_LOG_LINES: Final = 100
MAX_LOG_WAIT_S: Final = 20.0

_NONE: Final = b"null"

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Observed(Protocol):
    """What can be seen of a box."""

    async def box_status(self) -> dict[str, Any]:
        """Returns all that the box says of itself."""

    async def function_statuses(self, *names: str) -> list[dict[str, Any]]:
        """Returns the status of those of these functions that are deployed, or of all."""

    def counts(self) -> dict[str, Any]:
        """Returns what it has counted since it started."""

    def metrics(self) -> tuple[bytes, str]:
        """Returns the metrics, and their content type."""

    def missing_blobs(self, digests: list[str]) -> list[str]:
        """Returns what the store lacks. Blocks on the disk."""

    def partial_blobs(self, digests: list[str]) -> dict[str, int]:
        """Returns how many bytes came of those blobs of which some did. Blocks on the disk."""


class _Missing(msgspec.Struct):
    digests: list[str]


class _Deployment(msgspec.Struct):
    manifest: msgspec.Raw
    signature: msgspec.Raw = msgspec.Raw(_NONE)


class _Rollback(msgspec.Struct):
    revision: int | None = None


class _LogQuery(msgspec.Struct):
    after: Annotated[int, msgspec.Meta(ge=0)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] = DEFAULT_LOG_LINES
    wait_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Admin:
    """Answers operators.

    Args:
        box: What can be seen.
        deployments: What can be changed.
        logs: Of the functions.
        access: Keys and certificates.
        events: That the box keeps and delivers.
        hub: What it does for a fleet; None: it is no hub.
    """

    def __init__(
        self,
        *,
        box: Observed,
        deployments: Deployments,
        logs: Logs,
        access: Access,
        events: Events,
        hub: Hub | None = None,
    ) -> None:
        self._access = access
        self._box = box
        self._deployments = deployments
        self._logs = logs
        self._events = events
        self._hub = hub

    async def answer(self, ask: Ask) -> Answered:
        """Returns the answer to one request, whatever happens."""
        try:
            if ask.path == "/metrics":
                return Answered(ask.id, 200, *self._box.metrics())
            handler, name = _find(ask.method, ask.path)
            body = msgspec.json.encode(await handler(self, ask, name))
            if len(body) > MAX_ANSWER_BYTES:  # the gateway would take it for the end of the box
                raise Unavailable(
                    f"the answer would have {len(body)} bytes, and at most {MAX_ANSWER_BYTES} are "
                    "told at once: ask for one function or one box"
                )
            return Answered(ask.id, 200, body)
        except EdgefnError as error:
            return _refusal(ask, error)
        except (OSError, sqlite3.Error) as error:
            _log.exception("%s %s", ask.method, ask.path)
            return _refusal(ask, StorageFailed(f"the box cannot read or write its disk: {error}"))
        except Exception:
            _log.exception("%s %s", ask.method, ask.path)
            return _refusal(ask, EdgefnError("the box failed; its log says more"))

    async def status(self, ask: Ask, name: str) -> Any:
        """Tells all of the box."""
        return await self._box.box_status()

    async def counts(self, ask: Ask, name: str) -> Any:
        """Tells what was counted since the box started."""
        return self._box.counts()

    async def missing_blobs(self, ask: Ask, name: str) -> Any:
        """Tells which blobs the store lacks, and of which of them a part came."""
        self._deployments.check_free()  # nobody uploads what is refused afterwards
        digests = _decode(ask.body, _Missing).digests
        missing = await asyncio.to_thread(self._box.missing_blobs, digests)
        partial = await asyncio.to_thread(self._box.partial_blobs, missing)
        return {"missing": missing, "partial": partial}

    async def functions(self, ask: Ask, name: str) -> Any:
        """Tells of all functions."""
        return {"functions": await self._box.function_statuses()}

    async def deploy(self, ask: Ask, name: str) -> Any:
        """Deploys."""
        deployment = _decode(ask.body, _Deployment)
        manifest = decode_canonical_manifest(bytes(deployment.manifest))
        encoded = bytes(deployment.signature)
        signature = None if encoded == _NONE else decode_signature(encoded)
        await self._deployments.deploy(manifest, signature)
        return await self._function_status(manifest.spec.name)

    async def function(self, ask: Ask, name: str) -> Any:
        """Tells of one function."""
        manifest = self._deployments.serving(name).manifest
        status = await self._function_status(name)
        return {**status, "spec": manifest.spec, "schema": manifest.schema}

    async def history(self, ask: Ask, name: str) -> Any:
        """Tells of a function's revisions."""
        rows = await self._deployments.history(name)
        return {"revisions": [revision_status(row) for row in rows]}

    async def rollback(self, ask: Ask, name: str) -> Any:
        """Goes back to an earlier revision."""
        number = _decode(ask.body, _Rollback).revision if ask.body else None
        await self._deployments.rollback(name, number)
        return await self._function_status(name)

    async def remove(self, ask: Ask, name: str) -> Any:
        """Takes a function off the box."""
        await self._deployments.remove(name)
        return {"removed": name}

    async def logs(self, ask: Ask, name: str) -> Any:
        """Tells what a function printed."""
        self._deployments.serving(name)
        query = _decode_query(ask.query, _LogQuery)
        lines, cursor = await self._logs.read(
            name,
            after=query.after,
            limit=min(query.limit, MAX_LOG_LINES),
            wait_s=min(query.wait_s, MAX_LOG_WAIT_S),
        )
        return {"lines": lines, "next": cursor}

    async def access(self, handler: AccessHandler, ask: Ask, name: str) -> Any:
        """Has the keeper of keys and certificates answer."""
        return await handler(self._access, ask, name)

    async def hub(self, handler: HubHandler, ask: Ask) -> Any:
        """Has the hub answer."""
        if self._hub is None:
            raise NotAHub("this box is no hub: ask the one that was started with edgefn up --hub")
        return await handler(self._hub, ask)

    async def events(self, ask: Ask, name: str) -> Any:
        """Tells what events wait."""
        return await self._events.status()

    async def put_events(self, ask: Ask, name: str) -> Any:
        """Stores events."""
        return await self._events.put(_decode(ask.body, PutEvents))

    async def drop_events(self, ask: Ask, name: str) -> Any:
        """Forgets the events of a destination."""
        return await self._events.drop(_decode_query(ask.query, DropQuery))

    async def tail_events(self, ask: Ask, name: str) -> Any:
        """Tells the newest events."""
        return self._events.tail(_decode_query(ask.query, TailQuery))

    async def _function_status(self, name: str) -> dict[str, Any]:
        for status in await self._box.function_statuses(name):
            return status
        raise NotDeployed(f"{name} was removed meanwhile")


Handler = Callable[[Admin, Ask, str], Awaitable[Any]]


def _for_access(handler: AccessHandler) -> Handler:
    async def handle(admin: Admin, ask: Ask, name: str) -> Any:
        return await admin.access(handler, ask, name)

    return handle


def _for_hub(handler: HubHandler) -> Handler:
    async def handle(admin: Admin, ask: Ask, name: str) -> Any:
        return await admin.hub(handler, ask)

    return handle


_NAME: Final = "/admin/v1/deployments/(?P<name>[^/]+)"
_ROUTES: Final[dict[str, dict[str, Handler]]] = {
    "/admin/v1/status": {"GET": Admin.status},
    "/admin/v1/counts": {"GET": Admin.counts},
    "/admin/v1/events": {
        "GET": Admin.events,
        "POST": Admin.put_events,
        "DELETE": Admin.drop_events,
    },
    "/admin/v1/events/tail": {"GET": Admin.tail_events},
    "/admin/v1/blobs/missing": {"POST": Admin.missing_blobs},
    "/admin/v1/deployments": {"GET": Admin.functions, "POST": Admin.deploy},
    _NAME: {"GET": Admin.function, "DELETE": Admin.remove},
    f"{_NAME}/history": {"GET": Admin.history},
    f"{_NAME}/rollback": {"POST": Admin.rollback},
    f"{_NAME}/logs": {"GET": Admin.logs},
    **{
        pattern: {method: _for_access(handler) for method, handler in handlers.items()}
        for pattern, handlers in ACCESS_ROUTES.items()
    },
    **{
        pattern: {method: _for_hub(handler) for method, handler in handlers.items()}
        for pattern, handlers in HUB_ROUTES.items()
    },
}


def _find(method: str, path: str) -> tuple[Handler, str]:
    """Returns the handler of a request, and the function's name in its path."""
    for pattern, handlers in _ROUTES.items():
        if match := re.fullmatch(pattern, path):
            if handler := handlers.get(method):
                return handler, match.groupdict().get("name", "")
            allowed = sorted(handlers)
            raise MethodNotAllowed(
                f"{path} does not take {method}; it takes {', '.join(allowed)}", allow=allowed
            )
    raise NotFound(f"the admin API has no {path}")


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body is not what is expected here: {error}") from error


def _decode_query(query: Mapping[str, str], kind: type[T]) -> T:
    try:
        return msgspec.convert(dict(query), type=kind, strict=False)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"the query is not what is expected here: {error}") from error


def _refusal(ask: Ask, error: EdgefnError) -> Answered:
    return Answered(
        ask.id, status_of(error.code), msgspec.json.encode({"error": _described(error.body())})
    )


def _described(body: ErrorBody) -> dict[str, Any]:
    return {"code": body.code, "message": body.message, "detail": body.detail}
