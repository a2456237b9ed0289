"""The operator's client: deploys, looks and rolls back over a box's admin API."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from edgefn.access.orders import Given, Listed, NewKey, NewToken
from edgefn.bundle.build import Bundle
from edgefn.client.connections import Connections
from edgefn.client.counts import BoxCounts
from edgefn.client.credentials import credentials_of
from edgefn.client.errors import CallFailed, error_of
from edgefn.client.events import (
    Accepted,
    AcceptedEvent,
    AcceptedEvents,
    Dropped,
    EventsStatus,
    PutEvent,
)
from edgefn.client.status import BoxStatus, FunctionStatus, LogLine, LogPage, Revision
from edgefn.client.upload import Missing, upload
from edgefn.desired.fleet import FleetStatus
from edgefn.errors import TimedOut
from edgefn.routing.explanation import Explanation

TIMEOUT_S: Final = 30.0
DEPLOY_TIMEOUT_S: Final = 930.0  # the box may have an environment to install first
UPLOAD_TIMEOUT_S: Final = 300.0
FOLLOW_WAIT_S: Final = 10.0

_API: Final = "/admin/v1"

T = TypeVar("T")


class AdminClient:
    """Operates one box: from its own machine, or from elsewhere with a key."""

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        ca: Path | str | None = None,
        box: str | None = None,
    ) -> None:
        """Makes a client; it connects at the first call.

        Args:
            url: Of a box; default: `EDGEFN_URL`, else http://127.0.0.1:8080.
            key: Access key; default: `EDGEFN_KEY`, else that of `edgefn login`.
            ca: File with the certificate of the authority that signed the box's; default:
                `EDGEFN_CA`, else that of `edgefn login`, else those of the system.
            box: Name of another box of the fleet that is to be looked at, by way of the one at the
                URL, its hub; None: that one itself.

        Raises:
            ConfigError: The URL, or a variable of the environment, is wrong.
        """
        credentials = credentials_of(url, key, ca, None)
        self.url = credentials.url
        self._connections = Connections(credentials)
        self._box = box or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._connections.close()

    def status(self) -> BoxStatus:
        """Returns what the box says of itself."""
        return self._ask("GET", f"{_API}/status", BoxStatus)

    def counts(self) -> BoxCounts:
        """Returns what the box has counted since it started."""
        return self._ask("GET", f"{_API}/counts", BoxCounts)

    def fleet(self) -> FleetStatus:
        """Returns the fleet of a hub: its boxes, what they should serve, and what they do.

        Raises:
            CallFailed: The box is no hub.
        """
        return self._ask("GET", f"{_API}/fleet", FleetStatus)

    def functions(self) -> tuple[FunctionStatus, ...]:
        """Returns all that is deployed."""
        return self._ask("GET", f"{_API}/deployments", _Functions).functions

    def function(self, name: str) -> FunctionStatus:
        """Returns one deployed function, with its spec and schema.

        Raises:
            NotDeployed: No such function.
        """
        return self._ask("GET", _deployment(name), FunctionStatus)

    def deploy(
        self, bundle: Bundle, on_progress: Callable[[int, int], None] | None = None
    ) -> FunctionStatus:
        """Uploads what the box lacks of a bundle, and returns when the new revision serves.

        Args:
            bundle: What to deploy.
            on_progress: Called with the bytes uploaded so far and those to upload in all, the
                first time before the upload, the last time after it.

        Raises:
            DeploymentFailed: It did not come up; `detail` has `traceback` and `log`. The old
                revision keeps serving.
            CallFailed: The box does not trust who signed it (`code` in `detail`: `untrusted`,
                `bad_signature`, `expired`), a newer one served already (`older`), or a file changed
                since it was built (`digest_mismatch`).
        """
        upload(bundle, _Store(self), on_progress or (lambda sent, total: None))
        # The very bytes that were signed.
        body = {
            "manifest": msgspec.Raw(bundle.manifest.encode()),
            "signature": msgspec.Raw(bundle.signature.encode()),
        }
        return self._ask("POST", f"{_API}/deployments", FunctionStatus, body, DEPLOY_TIMEOUT_S)

    def history(self, name: str) -> tuple[Revision, ...]:
        """Returns a function's revisions, newest first.

        Raises:
            NotDeployed: No such function.
        """
        path = f"{_deployment(name)}/history"
        return self._ask("GET", path, _Revisions).revisions

    def rollback(self, name: str, revision: int | None = None) -> FunctionStatus:
        """Makes an earlier revision's bundle serve again, as a new revision.

        Args:
            name: Of the function.
            revision: Which one; None: the newest earlier one that served.

        Raises:
            NotDeployed: No such function, or no such revision.
            DeploymentFailed: It did not come up. What served keeps serving.
        """
        path = f"{_deployment(name)}/rollback"
        return self._ask("POST", path, FunctionStatus, {"revision": revision}, DEPLOY_TIMEOUT_S)

    def remove(self, name: str) -> None:
        """Takes a function off the box, after its calls are answered.

        Raises:
            NotDeployed: No such function.
        """
        self._ask("DELETE", _deployment(name), _Removed, timeout_s=DEPLOY_TIMEOUT_S)

    def explain(
        self,
        name: str,
        *,
        deadline_ms: float | None = None,
        size_bytes: int | None = None,
        priority: int | None = None,
        min_accuracy: float | None = None,
        variant: str | None = None,
    ) -> Explanation:
        """Returns where a call of a function would go now, and why not elsewhere.

        Args:
            name: Of the function.
            deadline_ms: Of the call; None: the function's own.
            size_bytes: Of its body.
            priority: From 0 to 9.
            min_accuracy: Least accuracy that it asks for.
            variant: The only one that it takes.

        Raises:
            NotDeployed: No such function.
        """
        query = {
            "deadline_ms": deadline_ms,
            "size_bytes": size_bytes,
            "priority": priority,
            "min_accuracy": min_accuracy,
            "variant": variant,
        }
        given = {key: value for key, value in query.items() if value is not None}
        path = f"{_API}/route/{quote(name, safe='')}"
        return self._ask("GET", f"{path}?{urlencode(given)}" if given else path, Explanation)

    def events(self) -> EventsStatus:
        """Returns what events wait for whom, and which alerts are raised."""
        return self._ask("GET", f"{_API}/events", EventsStatus)

    def put_events(self, events: Sequence[PutEvent]) -> tuple[str, ...]:
        """Stores events, all or none of them, and returns their ids.

        They are on the box's disk when this returns, and are delivered at least once, those of one
        source in order.

        Raises:
            InvalidInput: Something in them is wrong.
            CallFailed: Too much waits already (`code` in `detail`: `outbox_full`), or the disk
                failed.
        """
        return self._ask("POST", f"{_API}/events", Accepted, {"events": list(events)}).ids

    def events_tail(
        self, *, after: int | None = None, limit: int = 20
    ) -> tuple[AcceptedEvent, ...]:
        """Returns the newest events that were accepted, delivered or not, oldest first.

        Args:
            after: The first ones after this number instead.
            limit: At most so many.
        """
        query = {"limit": limit} if after is None else {"limit": limit, "after": after}
        return self._ask("GET", f"{_API}/events/tail?{urlencode(query)}", AcceptedEvents).events

    def drop_events(self, to: str) -> int:
        """Forgets all that waits for a destination, and returns how many events that were.

        Raises:
            InvalidInput: Nothing waits for it.
        """
        path = f"{_API}/events?{urlencode({'to': to})}"
        return self._ask("DELETE", path, Dropped).dropped

    def log_page(
        self, name: str, *, after: int | None = None, limit: int | None = None, wait_s: float = 0.0
    ) -> LogPage:
        """Returns lines that a function printed.

        Args:
            name: Of the function.
            after: The `next` of an earlier page; None: the newest lines.
            limit: At most so many.
            wait_s: How long to wait for a first line, if there is none yet.

        Raises:
            NotDeployed: No such function.
        """
        query = {"after": after, "limit": limit, "wait_s": wait_s or None}
        given = {key: value for key, value in query.items() if value is not None}
        path = f"{_deployment(name)}/logs?{urlencode(given)}"
        return self._ask("GET", path, LogPage, timeout_s=TIMEOUT_S + wait_s)

    def follow(self, name: str, *, last: int) -> Iterator[LogLine]:
        """Yields the newest `last` lines of a function, and then every new one as it comes.

        Raises:
            NotDeployed: No such function, or not any more.
        """
        page = self.log_page(name, limit=last)
        while True:
            yield from page.lines
            page = self.log_page(name, after=page.next, wait_s=FOLLOW_WAIT_S)

    def access(self) -> Listed:
        """Returns all keys, tokens and certificates that were given out."""
        return self._ask("GET", f"{_API}/keys", Listed)

    def make_key(self, order: NewKey) -> Given:
        """Makes an access key. Its text is told now and never again."""
        return self._ask("POST", f"{_API}/keys", Given, order)

    def make_join_token(self, order: NewToken) -> Given:
        """Makes a join token. Its text is told now and never again."""
        return self._ask("POST", f"{_API}/join-tokens", Given, order)

    def revoke(self, named: str) -> None:
        """Has a key, or the certificates of a box or device, count no longer.

        Args:
            named: Id of a key or token, or the name of a key, box or device.
        """
        self._ask("DELETE", f"{_API}/keys/{quote(named, safe='')}", _Revoked)

    def example(self, name: str) -> str:
        """Returns a command line for curl that calls a function.

        Raises:
            NotDeployed: No such function.
        """
        return self._ask("GET", f"/v1/functions/{quote(name, safe='')}", _Described).example.curl

    def _ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: Any = None,
        timeout_s: float = TIMEOUT_S,
    ) -> T:
        if self._box and path.startswith(_API):
            path += ("&" if "?" in path else "?") + urlencode({"box": self._box})
        encoded = b"" if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"} if encoded else {}
        reply = self._send(method, path, headers, encoded, timeout_s)
        try:
            return msgspec.json.decode(reply, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CallFailed(
                f"{self.url} does not speak the admin API of this edgefn: {error}. Is it a box, "
                "and of the same version?"
            ) from error

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | Iterator[bytes],
        timeout_s: float,
    ) -> bytes:
        try:
            reply = self._connections.send(
                method, path, headers=headers, body=body, timeout_s=timeout_s
            )
        except TimeoutError as error:
            raise TimedOut(
                f"the box at {self.url} did not answer within {timeout_s:g} s: {method} {path}"
            ) from error
        if reply.status >= 300:
            raise error_of(reply.status, reply.headers, reply.body)
        return reply.body


class _Store:
    """The store of the box, for `upload`."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin

    def missing(self, digests: list[str]) -> Missing:
        return self._admin._ask("POST", f"{_API}/blobs/missing", Missing, {"digests": digests})

    def put(
        self, digest: str, query: Mapping[str, int], length: int, body: Iterator[bytes]
    ) -> None:
        path = f"{_API}/blobs/{digest}?{urlencode(query)}"
        headers = {"Content-Length": str(length)}
        self._admin._send("PUT", path, headers, body, UPLOAD_TIMEOUT_S)


class _Functions(msgspec.Struct):
    functions: tuple[FunctionStatus, ...]


class _Revisions(msgspec.Struct):
    revisions: tuple[Revision, ...]


class _Removed(msgspec.Struct):
    removed: str


class _Revoked(msgspec.Struct):
    revoked: str


class _Example(msgspec.Struct):
    curl: str


class _Described(msgspec.Struct):
    example: _Example


def _deployment(name: str) -> str:
    return f"{_API}/deployments/{quote(name, safe='')}"
