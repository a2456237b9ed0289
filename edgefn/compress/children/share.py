"""How much of its work a child process has done: told often, since silence is taken for a hang."""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from edgefn.compress.children.serving import Say
from edgefn.compress.progress import OnShare

EVERY_S: Final = 0.1


class Share(msgspec.Struct, frozen=True, tag="share"):
    """How much of what was asked for is done, 0 to 1."""

    done: float


def teller(say: Say, clock_s: Callable[[], float] = time.monotonic) -> OnShare:
    """Returns what tells the build a share: at once if all is done, else every `EVERY_S`."""
    told_s = -EVERY_S

    def tell(done: float) -> None:
        nonlocal told_s
        now_s = clock_s()
        if done >= 1 or now_s - told_s >= EVERY_S:
            told_s = now_s
            say(Share(done))

    return tell
