"""The trial of a new revision: a replica of it loads, is what the manifest says, and answers."""

import contextlib
from typing import Final

from edgefn.box.launcher import Launcher
from edgefn.box.logs import Logs
from edgefn.box.replica import Replica
from edgefn.box.replica_source import LaunchFailed
from edgefn.box.revision import Revision
from edgefn.box.samples import answer_samples
from edgefn.errors import DeploymentFailed
from edgefn_runtime.lifecycle import Failed, Ready

LOG_LINES: Final = 100


async def stage(revision: Revision, launcher: Launcher, logs: Logs) -> Replica:
    """Starts a first replica of a revision, has it answer its samples, and returns it, ready.

    Raises:
        DeploymentFailed: The box can serve no variant of it; or it did not start, declares
            something else than the manifest, or did not answer. `detail` has `traceback`, the
            developer's, and `log`, what it printed. Its replica is gone, or about to be.
        LaunchFailed: The system refuses another process.
    """
    if reason := revision.unservable_because:
        raise DeploymentFailed(reason)
    replica, outcome = await launcher.stage(revision)
    if isinstance(outcome, Failed):
        raise DeploymentFailed(
            f"{revision.function} does not start: {outcome.error.message}",
            traceback=outcome.traceback,
            log=_log_of(replica, logs),
        )
    try:
        _compare(revision, outcome)
        await answer_samples(replica, launcher.ended)
    except DeploymentFailed as error:
        launcher.give_back(replica.id)
        raise DeploymentFailed(error.message, log=_log_of(replica, logs)) from error
    except BaseException:
        launcher.give_back(replica.id)
        raise
    return replica


async def match(replica: Replica, count: int, launcher: Launcher) -> None:
    """Gives a staged replica as many others of its kind as serve now, and waits for them.

    An update under load must not begin with less than what served before. What does not start now
    is left to the scaler.

    Args:
        replica: The staged one.
        count: How many are to take over, this one included.
        launcher: Starts the others.
    """
    revision, others = replica.revision, []
    with contextlib.suppress(LaunchFailed):
        for _ in range(min(count, revision.spec.scale.max) - 1):
            others.append(launcher.take(revision.function, revision.number, replica.variant.name))
    for other in others:
        await launcher.settled(other.id)


def _log_of(replica: Replica, logs: Logs) -> list[str]:
    lines, _ = logs.of(replica.revision.function).ring.newest(LOG_LINES)
    return [line.text for line in lines if line.replica == replica.id]


def _compare(revision: Revision, ready: Ready) -> None:
    """Checks that a replica declares what the manifest says.

    Raises:
        DeploymentFailed: It does not.
    """
    if ready.spec != revision.spec:
        difference = "spec"
    elif ready.schema != revision.manifest.schema:
        difference = "schema"
    else:
        return
    raise DeploymentFailed(
        f"{revision.manifest.module} declares another {difference} for {revision.function} "
        "than its manifest says: build the bundle again, with this version of edgefn"
    )
