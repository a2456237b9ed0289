"""`python -P -m edgefn.fleet.start_ray ...`: Ray's own `ray start ...`, tied to who starts it.

Whoever starts it makes it the leader of a session, and holds the other end of its standard input.
When that closes, or `ray start` ends, all of Ray's processes end: some of them would otherwise
outlive what they were for.
"""

import os
import select
import signal
import sys
from typing import Final, NoReturn

from edgefn_runtime.process import die_with

_HOOK: Final = "RAY_START_HOOK"


def without_client_server(params: object, is_head: bool) -> None:
    """Takes away the port for programs that are not part of the cluster: none needs it.

    Args:
        params: A `RayParams`, before anything is started.
        is_head: Whether the head is to be started.
    """
    del is_head
    vars(params)["ray_client_server_port"] = None


def main() -> NoReturn:
    """Runs `ray start` in a child of this process, and ends the session with it."""
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        _run_ray(keeper)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _end_session())
    pidfd = os.pidfd_open(child)
    select.select([0, pidfd], [], [])
    _end_session()


def _run_ray(keeper: int) -> NoReturn:
    die_with(keeper)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    from edgefn.fleet import loopback

    loopback.keep()
    os.environ[_HOOK] = f"edgefn.fleet.start_ray.{without_client_server.__name__}"
    from ray.scripts.scripts import main as ray

    sys.argv = ["ray", "start", *sys.argv[1:]]
    ray()
    sys.exit(0)


def _end_session() -> NoReturn:
    os.killpg(0, signal.SIGKILL)
    sys.exit(1)  # never: the signal is for this process, too


if __name__ == "__main__":
    main()
