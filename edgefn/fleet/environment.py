"""The environment of Ray's processes. Pure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgefn.desired.ray import AUTH_MODE
from edgefn_runtime.lease_words import STATE_DIR

TOKEN_PATH: Final = "RAY_AUTH_TOKEN_PATH"
_TOKEN: Final = "RAY_AUTH_TOKEN"
_ADDRESS: Final = "RAY_ADDRESS"

# Ray would show the measurements of each machine, and of the head, to all who reach the machine,
# without asking for a token. It notes in its log that -1 is no port, and goes on.
_ALWAYS: Final = {
    AUTH_MODE: "token",
    "DASHBOARD_METRIC_PORT": "-1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
}


def ray_environment(
    environ: Mapping[str, str], *, state_dir: Path, token_file: Path
) -> dict[str, str]:
    """Returns the environment for Ray's processes beside a box.

    What it has for Ray, such as its time limits, goes on to them, but not what names another
    cluster or its token.

    Args:
        environ: Of this process.
        state_dir: Of the box, by which the holders of leases find it.
        token_file: With the token of the cluster.
    """
    kept = {name: value for name, value in environ.items() if name not in (_TOKEN, _ADDRESS)}
    return kept | _ALWAYS | {STATE_DIR: str(state_dir), TOKEN_PATH: str(token_file)}
