"""The calls of Ray Serve that a fleet leans on, and what they mean."""

from collections.abc import Sequence
from typing import Any, Final

import ray
from ray import serve
from ray.serve._private.common import DeploymentID
from ray.serve.api import RunTarget
from ray.serve.schema import ApplicationStatus

from edgefn.fleet import loopback
from edgefn.fleet.applications import DEPLOYMENT, name_of, options_of
from edgefn.fleet.lease_holder import LeaseHolder
from edgefn_runtime.leasing import Pool

CALL_TIMEOUT_S: Final = 30.0
_CONTROLLER: Final = "SERVE_CONTROLLER_ACTOR"
_NAMESPACE: Final = "serve"
_GONE: Final = (ApplicationStatus.DELETING, ApplicationStatus.NOT_STARTED)


def start(address: str) -> None:
    """Connects to a cluster whose head runs here, and starts Serve without proxies.

    Raises:
        ConnectionError: There is no cluster at this address.
        ray.exceptions.RayError: It does not answer, or refuses the token.
    """
    loopback.keep()
    ray.init(
        address=address,
        namespace=_NAMESPACE,
        log_to_driver=False,
        logging_level="WARNING",
        _node_ip_address=address.rpartition(":")[0],
    )
    serve.start(proxy_location="Disabled")


def applications() -> dict[str, bool]:
    """Returns the applications there are, and whether each failed for good."""
    found = serve.status().applications
    return {
        name: app.status == ApplicationStatus.DEPLOY_FAILED
        for name, app in found.items()
        if app.status not in _GONE
    }


def deploy(pools: Sequence[Pool]) -> None:
    """Has Serve hold pools that it does not hold yet; returns before their replicas are there."""
    serve.run_many(
        [
            RunTarget(
                target=_deployment(pool).bind(pool.function, pool.variant),
                name=name_of(pool),
                route_prefix=None,
                external_scaler_enabled=True,
            )
            for pool in pools
        ],
        wait_for_ingress_deployment_creation=False,
        wait_for_applications_running=False,
    )


def scale(pool: Pool) -> None:
    """Tells Serve how many replicas a pool should have; none of the others is started anew."""
    deployment = DeploymentID(name=DEPLOYMENT, app_name=name_of(pool))
    _tell("update_deployment_replicas", deployment, pool.count)


def delete(names: Sequence[str]) -> None:
    """Has Serve give up applications; returns before their replicas are gone."""
    _tell("delete_apps", list(names))


def _deployment(pool: Pool) -> Any:
    return serve.deployment(LeaseHolder).options(**options_of(pool))


def _tell(method: str, *arguments: object) -> None:
    controller = ray.get_actor(_CONTROLLER, namespace=_NAMESPACE)
    ray.get(getattr(controller, method).remote(*arguments), timeout=CALL_TIMEOUT_S)
