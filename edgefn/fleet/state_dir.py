"""Where the box of this machine has its state, for whoever Ray starts here.

It is the folder that `EDGEFN_STATE_DIR` names in the environment that Ray was started with, else
the default of `edgefn up`.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from edgefn.config import resolve
from edgefn_runtime.lease_words import STATE_DIR


def state_dir_here(environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the state directory of the box of this machine."""
    named = environ.get(STATE_DIR, "")
    return Path(named).absolute() if named else resolve(environ).state_dir
