"""The admin API without a network: requests in, answers out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgefn.box import admin as admin_module
from edgefn.box.admin import Admin
from edgefn.box.log_files import LogFiles
from edgefn.box.logs import Logs
from edgefn.box.membership import FollowsHub
from edgefn.box.revision import Revision
from edgefn.box.rollback import RevisionRefused
from edgefn.box.state import RevisionRow
from edgefn.bundle.keys import SigningKey
from edgefn.bundle.signing import Signature, sign
from edgefn.errors import DeploymentFailed, NotDeployed
from edgefn.gateway.control import Answered, Ask
from edgefn_runtime.manifest import Manifest


class FakeDeployments:
    """Remembers what it was asked; fails as a test says."""

    def __init__(self, revision: Revision) -> None:
        self.revision = revision
        self.error: Exception | None = None
        self.asked: list[Any] = []

    def check_free(self) -> None:
        if self.error is not None:
            raise self.error

    async def deploy(self, manifest: Manifest, signature: Signature | None) -> None:
        self._ask("deploy", manifest, signature)

    async def rollback(self, name: str, number: int | None) -> None:
        self._ask("rollback", name, number)

    async def remove(self, name: str) -> None:
        self._ask("remove", name)

    async def history(self, name: str) -> list[RevisionRow]:
        self._ask("history", name)
        row = RevisionRow(
            name=name, number=1, digest="d", state="serving", reason="", created_at="t", note="n"
        )
        return [row]

    def serving(self, name: str) -> Revision:
        if name != "f":
            raise NotDeployed(f"no function {name!r}")
        return self.revision

    def _ask(self, *what: Any) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error


class FakeBox:
    """Says as much as the API needs."""

    async def box_status(self) -> dict[str, Any]:
        return {"box": "here"}

    async def function_statuses(self, *names: str) -> list[dict[str, Any]]:
        return [{"name": name} for name in names or ("f", "g")]

    def counts(self) -> dict[str, Any]:
        return {"box": "here", "functions": []}

    def metrics(self) -> tuple[bytes, str]:
        return b"edgefn_up 1\n", "text/plain"

    def missing_blobs(self, digests: list[str]) -> list[str]:
        return digests[1:]

    def partial_blobs(self, digests: list[str]) -> dict[str, int]:
        return dict.fromkeys(digests, 7)


class FakeEvents:
    """Has none."""

    async def status(self) -> dict[str, Any]:
        return {"destinations": [], "raised": []}


class FakeAccess:
    """Keeps what it is asked, and answers nothing."""

    async def ask(self, order: Callable[[Any], Any]) -> Any:
        return None


class Api:
    """The API with its fakes."""

    def __init__(self, revision: Revision, folder: Path) -> None:
        self.deployments = FakeDeployments(revision)
        self.logs = Logs(LogFiles(folder))
        self.admin = Admin(
            box=FakeBox(),
            deployments=self.deployments,  # type: ignore[arg-type]
            logs=self.logs,
            events=FakeEvents(),  # type: ignore[arg-type]
            access=FakeAccess(),  # type: ignore[arg-type]
        )

    async def ask(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
        data = (
            body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        )
        answer = await self.raw(Ask(7, method, path, query, data))
        return answer.status, msgspec.json.decode(answer.body)

    async def raw(self, ask: Ask) -> Answered:
        answer = await self.admin.answer(ask)
        assert answer.id == ask.id
        return answer


@pytest.fixture
def api(make_revision: Callable[..., Revision], tmp_path: Path) -> Api:
    return Api(make_revision(), tmp_path)


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/status", None, {"box": "here"}),
        ("GET", "/counts", None, {"box": "here", "functions": []}),
        (
            "POST",
            "/blobs/missing",
            {"digests": ["a", "b"]},
            {"missing": ["b"], "partial": {"b": 7}},
        ),
        ("GET", "/deployments", None, {"functions": [{"name": "f"}, {"name": "g"}]}),
        ("POST", "/deployments/f/rollback", {"revision": 3}, {"name": "f"}),
        ("POST", "/deployments/f/rollback", None, {"name": "f"}),
        ("DELETE", "/deployments/f", None, {"removed": "f"}),
    ],
)
async def test_requests_are_answered(
    api: Api, method: str, path: str, body: Any, expected: Any
) -> None:
    """In the words of the document."""
    assert await api.ask(method, f"/admin/v1{path}", body) == (200, expected)


async def test_a_manifest_is_deployed_as_it_came(
    api: Api, make_revision: Callable[..., Revision]
) -> None:
    """Its bytes are checked by the one who owns the format, and go with their signature or none."""
    manifest = make_revision().manifest
    signature = sign(SigningKey(bytes(32)), manifest.digest(), sequence=1)
    encoded = manifest.encode()
    for part in (b"", b',"signature":null', b',"signature":' + signature.encode()):
        body = b'{"manifest":' + encoded + part + b"}"
        assert await api.ask("POST", "/admin/v1/deployments", body) == (200, {"name": "f"})
    given = (None, None, signature)
    assert api.deployments.asked == [("deploy", manifest, one) for one in given]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b'{"format"', b'{ "format"', "invalid_manifest"),
        (b'"attribute":"f"', b'"attribute":"f","attribute":"f"', "invalid_manifest"),
        (b'"attribute":"f"', b'"attribute":"\\u0066"', "invalid_manifest"),
        (b'"sequence":1', b'"sequence": 1', "bad_signature"),
        (b'"sequence":1', b'"sequence":1.0', "bad_signature"),
        (b'"sequence":1', b'"sequence":-1', "bad_signature"),
        (b'"sequence":1', b'"sequence":1,"more":2', "bad_signature"),
    ],
)
async def test_only_the_very_bytes_that_were_signed_are_taken(
    api: Api, make_revision: Callable[..., Revision], old: bytes, new: bytes, code: str
) -> None:
    """Another spelling of the same manifest or signature is refused."""
    manifest = make_revision().manifest
    signature = sign(SigningKey(bytes(32)), manifest.digest(), sequence=1)
    body = b'{"manifest":' + manifest.encode() + b',"signature":' + signature.encode() + b"}"
    assert body.count(old) == 1
    _, answer = await api.ask("POST", "/admin/v1/deployments", body.replace(old, new))
    assert answer["error"]["code"] == code
    assert api.deployments.asked == []


async def test_one_function_is_described_with_spec_and_schema(api: Api) -> None:
    """Beside its status."""
    status, body = await api.ask("GET", "/admin/v1/deployments/f")
    assert status == 200
    assert body.keys() == {"name", "spec", "schema"}
    assert body["spec"]["name"] == "f"


async def test_metrics_are_text(api: Api) -> None:
    """With the content type that Prometheus expects."""
    answer = await api.raw(Ask(1, "GET", "/metrics", {}, b""))
    assert (answer.status, answer.content_type) == (200, "text/plain")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nothing", None, 404, "not_found"),
        ("GET", "/deployments/a/b", None, 404, "not_found"),
        ("PUT", "/status", None, 405, "method_not_allowed"),
        ("GET", "/deployments/unknown", None, 404, "unknown_function"),
        ("GET", "/deployments/unknown/logs", None, 404, "unknown_function"),
        ("POST", "/blobs/missing", b"{", 400, "invalid_input"),
        ("POST", "/blobs/missing", {"digests": 3}, 400, "invalid_input"),
        ("POST", "/deployments", {}, 400, "invalid_input"),
        ("POST", "/deployments", {"manifest": {"format": 1}}, 422, "invalid_manifest"),
        ("POST", "/deployments/f/rollback", {"revision": "x"}, 400, "invalid_input"),
    ],
)
async def test_wrong_requests_are_refused(
    api: Api, method: str, path: str, body: Any, status: int, code: str
) -> None:
    """In the one error shape, and nothing is done."""
    answer = await api.ask(method, f"/admin/v1{path}", body)
    assert answer[0] == status
    assert answer[1]["error"]["code"] == code
    assert api.deployments.asked == []


async def test_an_answer_that_does_not_fit_a_message_is_a_sentence(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fleet of a hub may be large, and its gateways must survive that somebody asks."""
    monkeypatch.setattr(admin_module, "MAX_ANSWER_BYTES", 10)
    status, body = await api.ask("GET", "/admin/v1/status")
    assert (status, body["error"]["code"]) == (503, "unavailable")


async def test_nobody_uploads_to_a_box_that_follows_a_hub(api: Api) -> None:
    """Else a large bundle would be sent first, and refused afterwards."""
    api.deployments.error = FollowsHub("its hub decides")
    status, body = await api.ask("POST", "/admin/v1/blobs/missing", {"digests": ["a"]})
    assert (status, body["error"]["message"]) == (409, "its hub decides")


async def test_a_refused_method_comes_with_those_that_are_not(api: Api) -> None:
    """For the `Allow` header."""
    _, body = await api.ask("PATCH", "/admin/v1/deployments")
    assert body["error"]["detail"] == {"allow": ["GET", "POST"]}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DeploymentFailed("no", traceback="t", log=["l"]), 422, "deployment_failed"),
        (RevisionRefused("no"), 409, "conflict"),
        (OSError(28, "No space left on device"), 507, "storage_failed"),
        (ZeroDivisionError("secret"), 500, "internal"),
    ],
)
async def test_failures_have_a_status_each(
    api: Api, error: Exception, status: int, code: str
) -> None:
    """What is wrong inside of the box is for its log only."""
    api.deployments.error = error
    answer = await api.ask("DELETE", "/admin/v1/deployments/f")
    assert answer[0] == status
    assert answer[1]["error"]["code"] == code
    assert "secret" not in str(answer[1])


async def test_logs_are_read_by_cursor(api: Api) -> None:
    """The newest first, then what comes after them."""
    for text in ("a", "b", "c"):
        api.logs.of("f").add("r1", text)
    path = "/admin/v1/deployments/f/logs"
    _, page = await api.ask("GET", path, limit="2")
    assert [(line["replica"], line["text"]) for line in page["lines"]] == [("r1", "b"), ("r1", "c")]
    api.logs.of("f").add("r1", "d")
    _, page = await api.ask("GET", path, after=str(page["next"]), wait_s="5")
    assert [line["text"] for line in page["lines"]] == ["d"]
    await api.logs.aclose()


@pytest.mark.parametrize(
    "query", [{"after": "x"}, {"after": "-1"}, {"limit": "0"}, {"wait_s": "-1"}, {"wait_s": "nan"}]
)
async def test_a_query_that_makes_no_sense_is_refused(api: Api, query: dict[str, str]) -> None:
    """With the field in the message."""
    status, body = await api.ask("GET", "/admin/v1/deployments/f/logs", **query)
    assert status == 400
    assert next(iter(query)) in body["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/v1/fleet"),
        ("GET", "/fleet/v1/desired"),
        ("POST", "/fleet/v1/report"),
    ],
)
async def test_a_box_that_is_no_hub_says_so(api: Api, method: str, path: str) -> None:
    """With what to ask instead."""
    status, answer = await api.ask(method, path)
    assert (status, answer["error"]["code"]) == (404, "not_found")
    assert "no hub: ask the one" in answer["error"]["message"]
