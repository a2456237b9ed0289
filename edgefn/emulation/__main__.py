"""The process of a session's emulated links.

    python -P -m edgefn.emulation <JSON of a Launch>

It writes a line to standard output once its control socket answers, and ends with its parent.
"""

import asyncio
import signal
import sys
from pathlib import Path

import msgspec
import uvloop

from edgefn.emulation.control import serve_control
from edgefn.emulation.launch import Launch
from edgefn.emulation.links import EmulatedLinks
from edgefn_runtime.process import die_with


async def _run(launch: Launch) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    links = EmulatedLinks(launch.seed)
    server = await serve_control(Path(launch.socket), links.carry_out)
    print("ready", flush=True)
    try:
        await stopped.wait()
    finally:
        server.close()
        await links.aclose()


def main() -> None:
    """Serves the links until told to stop."""
    launch = msgspec.json.decode(sys.argv[1], type=Launch)
    die_with(launch.parent)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(launch))


if __name__ == "__main__":
    main()
