"""What the box and the process that installs an environment for it agree on."""

import json
import site
import sys
from typing import Final

import msgspec

RECORD_FILE: Final = "environment.json"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be installed.

    Attributes:
        folder: Of the environment; what is there goes.
        lock: What is to be in it.
        wheels: Folders of the wheels, if they were brought along; else the index has them.
    """

    folder: str
    lock: str
    wheels: list[str]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it; without a reason it is installed."""

    reason: str = ""
    log: list[str] = []


def record() -> str:
    """Returns what a finished environment says of the box that made it, and must still be true."""
    return json.dumps({"python": sys.version, "base": sys.base_prefix, "box": box_folders()})


def box_folders() -> list[str]:
    """Returns the folders of the packages that are installed for the box itself."""
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return [folder for folder in folders if folder in sys.path]
