"""A hub and boxes that follow it, each a real one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefn.access.files import AccessFiles
from edgefn.access.joining import join
from edgefn.access.orders import NewKey, NewToken


class Fleet:
    """A hub, and what it takes to have others join it."""

    def __init__(self, start: Callable[..., Any], folder: Path) -> None:
        self._start = start
        self._folder = folder
        self._listen = "127.0.0.1:0"
        self.start_hub()

    def start_hub(self) -> Any:
        """Starts the hub, or starts it again at the same address."""
        self.hub = self._start(
            state_dir=self._folder / "hub", hub=True, listen=self._listen, name="cloud-1",
            tier="cloud",
        )  # fmt: skip
        self.url = self.hub.admin.status().secure_url
        self._listen = self.url.removeprefix("https://")
        self.ca = AccessFiles(self._folder / "hub").fleet
        return self.hub

    def folder(self, name: str) -> Path:
        """Returns the state directory of a box."""
        return self._folder / name

    def join(self, name: str) -> None:
        """Has a box join that is not started yet."""
        token = self.hub.admin.make_join_token(NewToken()).text
        join(self.url, token, name, AccessFiles(self.folder(name)))

    def start(self, name: str, **config: Any) -> Any:
        """Starts a box that joined, or starts it again."""
        return self._start(state_dir=self.folder(name), name=name, **config)

    def key(self, name: str) -> str:
        """Returns a new access key of the hub."""
        return str(self.hub.admin.make_key(NewKey(name=name)).text)


@pytest.fixture
def fleet(start_box: Callable[..., Any], tmp_path: Path) -> Fleet:
    """A fleet with nothing but its hub."""
    return Fleet(start_box, tmp_path)
