"""`python -P -m edgefn.fleet --host HOST [--cluster ADDRESS]`: the companion of a box that is up.

`EDGEFN_STATE_DIR` names the state directory of the box.

Exit status: 0 told to stop, 2 Ray is missing here, or was told not to ask for a token.
"""

import argparse
import asyncio
import importlib.util
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgefn.desired.ray import refuse_open_ray
from edgefn.errors import ConfigError
from edgefn.fleet.companion import Companion, Settings
from edgefn_runtime.lease_words import STATE_DIR
from edgefn_runtime.process import die_with


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the companion in this process, which dies with its parent; returns the exit status."""
    parser = argparse.ArgumentParser(prog="edgefn.fleet", description="Ray beside a box.")
    parser.add_argument("--host", required=True, help="Address that Ray's ports are bound to.")
    parser.add_argument(
        "--cluster", default="", help="That this machine is in already; default: it starts Ray."
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s fleet %(levelname)s %(name)s: %(message)s"
    )
    try:
        refuse_open_ray(os.environ)
        _need_ray()
        state_dir = _state_dir(os.environ)
    except ConfigError as error:
        print(f"edgefn.fleet: {error.message}", file=sys.stderr)
        return 2
    die_with(os.getppid())
    settings = Settings(state_dir=state_dir, host=given.host, cluster=given.cluster)
    asyncio.run(Companion(settings).run())
    return 0


def _state_dir(environ: Mapping[str, str]) -> Path:
    folder = environ.get(STATE_DIR, "")
    if not folder:
        raise ConfigError(f"which box? Set {STATE_DIR} to its state directory")
    return Path(folder).absolute()


def _need_ray() -> None:
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("Ray is not installed here: pip install 'edgefn[ray]'")


if __name__ == "__main__":
    sys.exit(main())
