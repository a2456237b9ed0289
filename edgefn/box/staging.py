"""The trial of a new revision: one replica of it must load, and be what the manifest says."""

from typing import Final

from edgefn.box.launcher import Launcher
from edgefn.box.logs import Logs
from edgefn.box.replica import Replica
from edgefn.box.revision import Revision
from edgefn.errors import DeploymentFailed
from edgefn_runtime.lifecycle import Failed, Ready

LOG_LINES: Final = 100


async def stage(revision: Revision, launcher: Launcher, logs: Logs) -> Replica:
    """Starts a first replica of a revision and returns it, ready.

    Raises:
        DeploymentFailed: It did not start, or declares something else than the manifest. `detail`
            has `traceback`, the developer's, and `log`, what it printed. Its replica is gone, or
            about to be.
        LaunchFailed: The system refuses another process.
    """
    replica, outcome = await launcher.stage(revision)
    log = [
        line.text
        for line in logs.of(revision.function).ring.newest(LOG_LINES)[0]
        if line.replica == replica.id
    ]
    if isinstance(outcome, Failed):
        message = f"{revision.function} does not start: {outcome.error.message}"
        raise DeploymentFailed(message, traceback=outcome.traceback, log=log)
    if difference := _difference(revision, outcome):
        launcher.give_back(replica.id)
        raise DeploymentFailed(
            f"{revision.manifest.module} declares another {difference} for {revision.function} "
            "than its manifest says: build the bundle again, with this version of edgefn",
            log=log,
        )
    return replica


def _difference(revision: Revision, ready: Ready) -> str:
    if ready.spec != revision.spec:
        return "spec"
    if ready.schema != revision.manifest.schema:
        return "schema"
    return ""
