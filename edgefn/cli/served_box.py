"""One box of an `edgefn dev` session: brought up to date with what was built, and listened to."""

import threading
import time
from collections.abc import Sequence
from typing import Final

from edgefn.bundle.build import Bundle
from edgefn.cli import output
from edgefn.cli.deploying import what_serves
from edgefn.cli.failure import print_failure
from edgefn.cli.log_line import print_line
from edgefn.client.admin import AdminClient
from edgefn.errors import EdgefnError

SHOWN_LINES: Final = 100  # of what it printed before the first look


class ServedBox:
    """What one box serves of a session.

    Args:
        admin: Of the box.
        name: Of the box, if there are several; else empty.
        shows_example: Whether it says how to call a function when it is deployed first.
    """

    def __init__(self, admin: AdminClient, *, name: str = "", shows_example: bool = True) -> None:
        self._admin = admin
        self._name = name
        self._shows_example = shows_example
        self._digests: dict[str, str] = {}
        self._followed: set[str] = set()

    def lacks(self, bundles: Sequence[Bundle]) -> list[Bundle]:
        """Returns those of the bundles that it does not serve."""
        return [
            each
            for each in bundles
            if self._digests.get(each.manifest.spec.name) != each.manifest.digest()
        ]

    def bring_up_to_date(self, bundles: Sequence[Bundle], started_s: float) -> bool:
        """Deploys what it lacks and removes what is no longer there; errors are shown.

        Args:
            bundles: All that it is to serve.
            started_s: When the change was seen.

        Returns:
            Whether it serves all of them.
        """
        deployed = [self._deploy(bundle, started_s) for bundle in self.lacks(bundles)]
        self._remove_all_but({bundle.manifest.spec.name for bundle in bundles})
        return all(deployed)

    def say_what_serves(self) -> None:
        """Says it of each function."""
        for name in self._digests:
            output.note(what_serves(self._admin, name) + self._at)

    @property
    def _at(self) -> str:
        return f" at {self._name}" if self._name else ""

    def _deploy(self, bundle: Bundle, started_s: float) -> bool:
        name = bundle.manifest.spec.name
        try:
            status = self._admin.deploy(bundle)
        except EdgefnError as error:
            print_failure(error, subject=name)
            output.note(what_serves(self._admin, name) + self._at)
            return False
        if self._shows_example:
            for text in bundle.notes:
                output.note(output.plain(text))
            if name not in self._digests:
                output.note(self._admin.example(name))
        self._digests[name] = bundle.manifest.digest()
        took_s = time.monotonic() - started_s
        said = f"{name} revision {status.revision} serves{self._at}, {took_s:.2f} s"
        output.out.print(output.plain(said, "green"))
        self._follow(name)
        return True

    def _remove_all_but(self, names: set[str]) -> None:
        for name in self._digests.keys() - names:
            self._admin.remove(name)
            del self._digests[name]
            said = f"{name} is no longer declared, and gone{self._at}"
            output.out.print(output.plain(said, "yellow"))

    def _follow(self, name: str) -> None:
        if name not in self._followed:
            self._followed.add(name)
            following = threading.Thread(target=self._print_log, args=(name,), daemon=True)
            following.start()

    def _print_log(self, name: str) -> None:
        prefix = f"{self._name} {name}" if self._name else name
        try:
            with AdminClient(self._admin.url) as admin:
                for line in admin.follow(name, last=SHOWN_LINES):
                    print_line(line, prefix=prefix)
        except EdgefnError:
            self._followed.discard(name)  # it is gone, or the box is
