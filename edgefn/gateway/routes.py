"""The one table of paths, and of what each asks of its caller.

What is not in it is 404, or 405 if only the method is not.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from aiohttp import web

from edgefn.access.needs import Need
from edgefn.gateway import admin, catalogue, invoke, readiness, route_admin, v2
from edgefn.gateway.answer import Answer
from edgefn.gateway.calling import Called
from edgefn.gateway.control import DESIRED_PATH
from edgefn.gateway.errors import MethodNotAllowed, NotFound
from edgefn.gateway.state import Gateway

Handler = Callable[[Gateway, web.BaseRequest, tuple[str, ...]], Awaitable[Answer]]


class Route(NamedTuple):
    """One line of the table. None is without a need: what anyone may ask says so, too.

    `called`: if it calls a function, which one, and how. What its handler does can then be done
    without a task (`direct_call`).

    `of_any_box`: at a hub, it can be asked of each box of the fleet, too, with its name as `box` in
    the query. Only what changes nothing is among these.
    """

    method: str
    path: str
    handler: Handler
    need: Need
    of_any_box: bool = False
    called: Callable[[Gateway, tuple[str, ...]], Called] | None = None

    @property
    def names_function(self) -> bool:
        """Whether the first parameter of its path is the name of a function."""
        return "/{name}" in self.path


ROUTES: Final[tuple[Route, ...]] = (
    Route("POST", "/v1/functions/{name}", invoke.invoke, Need.CALL, called=invoke.called),
    Route("GET", "/v1/functions/{name}", catalogue.function, Need.CALL),
    Route("GET", "/v1/functions", catalogue.functions, Need.CALL),
    Route("GET", "/openapi.json", catalogue.openapi_document, Need.CALL),
    Route("GET", "/healthz", readiness.healthz, Need.NOTHING),
    Route("GET", "/readyz", readiness.readyz, Need.NOTHING),
    Route("GET", "/metrics", admin.metrics, Need.METRICS, of_any_box=True),
    Route("GET", "/v2", v2.server_metadata, Need.CALL),
    Route("GET", "/v2/health/live", v2.server_live, Need.NOTHING),
    Route("GET", "/v2/health/ready", v2.server_ready, Need.NOTHING),
    Route("GET", "/v2/models/{name}", v2.model_metadata, Need.CALL),
    Route("GET", "/v2/models/{name}/versions/{version}", v2.model_metadata, Need.CALL),
    Route("GET", "/v2/models/{name}/ready", v2.model_ready, Need.CALL),
    Route("GET", "/v2/models/{name}/versions/{version}/ready", v2.model_ready, Need.CALL),
    Route("POST", "/v2/models/{name}/infer", v2.infer, Need.CALL, called=v2.called),
    Route(
        "POST", "/v2/models/{name}/versions/{version}/infer", v2.infer, Need.CALL, called=v2.called
    ),
    Route("GET", "/admin/v1/status", admin.ask, Need.OPERATE, of_any_box=True),
    Route("GET", "/admin/v1/counts", admin.ask, Need.OPERATE, of_any_box=True),
    Route("GET", "/admin/v1/decisions", route_admin.decisions, Need.OPERATE, of_any_box=True),
    Route("GET", "/admin/v1/route/{name}", route_admin.explain, Need.OPERATE, of_any_box=True),
    Route("GET", "/admin/v1/events", admin.ask, Need.OPERATE, of_any_box=True),
    Route("POST", "/admin/v1/events", admin.ask, Need.OPERATE),
    Route("DELETE", "/admin/v1/events", admin.ask, Need.OPERATE),
    Route("GET", "/admin/v1/events/tail", admin.ask, Need.OPERATE, of_any_box=True),
    Route("POST", "/admin/v1/blobs/missing", admin.ask, Need.DEPLOY),
    Route("PUT", "/admin/v1/blobs/{sha256}", admin.put_blob, Need.DEPLOY),
    Route("GET", "/admin/v1/deployments", admin.ask, Need.OPERATE, of_any_box=True),
    Route("POST", "/admin/v1/deployments", admin.ask, Need.DEPLOY),
    Route("GET", "/admin/v1/deployments/{name}", admin.ask, Need.OPERATE, of_any_box=True),
    Route("DELETE", "/admin/v1/deployments/{name}", admin.ask, Need.DEPLOY),
    Route("GET", "/admin/v1/deployments/{name}/history", admin.ask, Need.OPERATE, of_any_box=True),
    Route("POST", "/admin/v1/deployments/{name}/rollback", admin.ask, Need.OPERATE),
    Route("GET", "/admin/v1/deployments/{name}/logs", admin.logs, Need.OPERATE, of_any_box=True),
    Route("GET", "/admin/v1/keys", admin.ask, Need.ADMIN),
    Route("POST", "/admin/v1/keys", admin.ask, Need.ADMIN),
    Route("DELETE", "/admin/v1/keys/{id}", admin.ask, Need.ADMIN),
    Route("POST", "/admin/v1/join-tokens", admin.ask, Need.ADMIN),
    Route("GET", "/admin/v1/fleet", admin.ask, Need.OPERATE),
    Route("GET", "/fleet/v1/authority", admin.ask, Need.NOTHING),
    Route("POST", "/fleet/v1/join", admin.ask, Need.JOIN),
    Route("POST", "/fleet/v1/renew", admin.ask, Need.FLEET),
    Route("GET", DESIRED_PATH, admin.pull, Need.FLEET),
    Route("POST", "/fleet/v1/report", admin.ask, Need.FLEET),
    Route("GET", "/fleet/v1/blobs/{sha256}", admin.get_blob, Need.FLEET),
)

_PARAMETER: Final = "{}"
_METHODS: Final = ""


def _tree() -> dict[str, Any]:
    """Returns the table as nested dicts by segment; under the empty key, routes by method."""
    root: dict[str, Any] = {}
    for route in ROUTES:
        branch = root
        for segment in route.path[1:].split("/"):
            branch = branch.setdefault(_PARAMETER if segment[0] == "{" else segment, {})
        methods = branch.setdefault(_METHODS, {})
        methods[route.method] = route
        if route.method == "GET":
            methods["HEAD"] = route
    return root


_TREE: Final = _tree()


@lru_cache(maxsize=1024)
def find(path: str) -> tuple[Mapping[str, Route], tuple[str, ...]]:
    """Returns the routes at a path, by method, and the values of its parameters.

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


def resolve(method: str, target: str) -> tuple[Route, tuple[str, ...]]:
    """Returns the route of a request, and the values of its path's parameters.

    Args:
        method: Of the request.
        target: Its path as it was sent, a query included.

    Raises:
        NotFound: There is nothing at the path.
        MethodNotAllowed: There is, but not for this method.
    """
    methods, parameters = find(target.partition("?")[0])
    route = methods.get(method)
    if route is None:
        allowed = sorted(methods)
        raise MethodNotAllowed(
            f"{method[:20]} is not possible here, only {', '.join(allowed)}", allow=allowed
        )
    return route, parameters
