"""What a process does before it imports a function's file, so that this goes as in a replica."""

import os
import sys
from pathlib import Path


def enter(folder: Path) -> None:
    """Makes a function's folder the working directory and the first place of imports.

    Nothing is written into it: no compiled code.
    """
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    os.chdir(folder)
