"""The one table of paths: what is not in it is 404, or 405 if only the method is not."""

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web

from edgefn.gateway import admin, catalogue, readiness, route_admin, v2
from edgefn.gateway.answer import Answer
from edgefn.gateway.errors import MethodNotAllowed, NotFound
from edgefn.gateway.invoke import invoke
from edgefn.gateway.state import Gateway

Handler = Callable[[Gateway, web.BaseRequest, tuple[str, ...]], Awaitable[Answer]]

ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("POST", "/v1/functions/{name}", invoke),
    ("GET", "/v1/functions/{name}", catalogue.function),
    ("GET", "/v1/functions", catalogue.functions),
    ("GET", "/openapi.json", catalogue.openapi_document),
    ("GET", "/healthz", readiness.healthz),
    ("GET", "/readyz", readiness.readyz),
    ("GET", "/metrics", admin.metrics),
    ("GET", "/v2", v2.server_metadata),
    ("GET", "/v2/health/live", v2.server_live),
    ("GET", "/v2/health/ready", v2.server_ready),
    ("GET", "/v2/models/{name}", v2.model_metadata),
    ("GET", "/v2/models/{name}/versions/{version}", v2.model_metadata),
    ("GET", "/v2/models/{name}/ready", v2.model_ready),
    ("GET", "/v2/models/{name}/versions/{version}/ready", v2.model_ready),
    ("POST", "/v2/models/{name}/infer", v2.infer),
    ("POST", "/v2/models/{name}/versions/{version}/infer", v2.infer),
    ("GET", "/admin/v1/status", admin.ask),
    ("GET", "/admin/v1/counts", admin.ask),
    ("GET", "/admin/v1/decisions", route_admin.decisions),
    ("GET", "/admin/v1/route/{name}", route_admin.explain),
    ("GET", "/admin/v1/events", admin.ask),
    ("POST", "/admin/v1/events", admin.ask),
    ("DELETE", "/admin/v1/events", admin.ask),
    ("GET", "/admin/v1/events/tail", admin.ask),
    ("POST", "/admin/v1/blobs/missing", admin.ask),
    ("PUT", "/admin/v1/blobs/{sha256}", admin.put_blob),
    ("GET", "/admin/v1/deployments", admin.ask),
    ("POST", "/admin/v1/deployments", admin.ask),
    ("GET", "/admin/v1/deployments/{name}", admin.ask),
    ("DELETE", "/admin/v1/deployments/{name}", admin.ask),
    ("GET", "/admin/v1/deployments/{name}/history", admin.ask),
    ("POST", "/admin/v1/deployments/{name}/rollback", admin.ask),
    ("GET", "/admin/v1/deployments/{name}/logs", admin.logs),
)

_PARAMETER: Final = "{}"
_METHODS: Final = ""


def _tree() -> dict[str, Any]:
    """Returns the table as nested dicts by segment; under the empty key, handlers by method."""
    root: dict[str, Any] = {}
    for method, path, handler in ROUTES:
        branch = root
        for segment in path[1:].split("/"):
            branch = branch.setdefault(_PARAMETER if segment[0] == "{" else segment, {})
        methods = branch.setdefault(_METHODS, {})
        methods[method] = handler
        if method == "GET":
            methods["HEAD"] = handler
    return root


_TREE: Final = _tree()


@lru_cache(maxsize=1024)
def find(path: str) -> tuple[Mapping[str, Handler], tuple[str, ...]]:
    """Returns the handlers at a path, by method, and the values of its parameters.

    Raises:
        NotFound: There is nothing at the path.
    """
    branch = _TREE
    parameters: list[str] = []
    for segment in path[1:].split("/"):
        deeper = branch.get(segment) if segment else None
        if deeper is None and segment and _PARAMETER in branch:
            deeper = branch[_PARAMETER]
            parameters.append(unquote(segment))
        if deeper is None:
            raise NotFound(f"there is nothing at {path[:200]!r}; see /openapi.json")
        branch = deeper
    methods = branch.get(_METHODS)
    if methods is None:
        raise NotFound(f"there is nothing at {path[:200]!r}; see /openapi.json")
    return methods, tuple(parameters)


def resolve(method: str, target: str) -> tuple[Handler, tuple[str, ...]]:
    """Returns the handler of a request, and the values of its path's parameters.

    Args:
        method: Of the request.
        target: Its path as it was sent, a query included.

    Raises:
        NotFound: There is nothing at the path.
        MethodNotAllowed: There is, but not for this method.
    """
    methods, parameters = find(target.partition("?")[0])
    handler = methods.get(method)
    if handler is None:
        allowed = sorted(methods)
        raise MethodNotAllowed(
            f"{method[:20]} is not possible here, only {', '.join(allowed)}", allow=allowed
        )
    return handler, parameters
