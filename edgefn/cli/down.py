"""`edgefn down`."""

from typing import Final

from edgefn.cli import options, output
from edgefn.cli.holder import end, holder_of
from edgefn.config import settings
from edgefn.errors import EdgefnError

TIMEOUT_S: Final = 30.0


def command(state_dir: options.StateDir = None, json: options.Json = False) -> None:
    """Stops a box that runs on this machine; it answers what is under way first."""
    folder = settings(state_dir=state_dir).state_dir
    holder = holder_of(folder)
    if holder is None:
        raise EdgefnError(f"no box runs with the state directory {folder}")
    with output.spinner(f"waiting for the box, process {holder.pid}, to answer what is under way"):
        end(folder, holder, TIMEOUT_S)
    if json:
        output.print_json({"pid": holder.pid, "url": holder.url})
    else:
        output.out.print(output.plain(f"the box at {holder.url or folder} is down"))
