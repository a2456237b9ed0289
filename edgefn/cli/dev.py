"""`edgefn dev`."""

import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer
from watchfiles import watch

from edgefn.box import BoxConfig
from edgefn.bundle.build import Bundle, build
from edgefn.bundle.target import parse_target
from edgefn.cli import output
from edgefn.cli.box_process import BoxProcess
from edgefn.cli.deploying import what_serves
from edgefn.cli.failure import print_failure
from edgefn.cli.log_line import print_line
from edgefn.client.admin import AdminClient
from edgefn.config import settings
from edgefn.errors import EdgefnError

_DEBOUNCE_MS: Final = 50  # an editor's save is several events
_STEP_MS: Final = 20
_LOOK_AT_BOX_MS: Final = 1000
SHOWN_LINES: Final = 100  # of what it printed before the first look


def command(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A folder with a function.py, or a .py file; with ::NAME for one function of it.",
        ),
    ] = ".",
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Default 8080; 0: any free one.")
    ] = None,
) -> None:
    """Serves functions from here on a box of its own, and reloads them when they are saved."""
    folder = parse_target(target).file.parent
    given = settings(port=port)
    with TemporaryDirectory(prefix="edgefn-dev-") as state_dir:
        config = BoxConfig(state_dir=Path(state_dir), port=given.port, name="dev", tier=given.tier)
        with output.spinner("starting a box"):
            box = BoxProcess.start(config, outlives=False)
        try:
            with AdminClient(box.url) as admin:
                _serve(target, folder, box, admin)
        except KeyboardInterrupt:
            output.note("stopping")
        finally:
            box.stop()


def _serve(target: str, folder: Path, box: BoxProcess, admin: AdminClient) -> None:
    session = Session(target, admin)
    session.reload()
    output.note(f"box at {box.url}; watching {folder}; Ctrl-C ends it")
    changes = watch(
        folder,
        debounce=_DEBOUNCE_MS,
        step=_STEP_MS,
        rust_timeout=_LOOK_AT_BOX_MS,
        yield_on_timeout=True,
    )
    for changed in changes:
        if box.exit_code() is not None:
            raise EdgefnError(f"the box ended by itself with exit status {box.exit_code()}")
        if changed:
            session.reload()


class Session:
    """What is served from a target, brought up to date by `reload`."""

    def __init__(self, target: str, admin: AdminClient) -> None:
        self._target = target
        self._admin = admin
        self._digests: dict[str, str] = {}
        self._followed: set[str] = set()
        self._failed = False

    def reload(self) -> None:
        """Deploys what has changed. Errors are shown, and what served keeps serving."""
        started_s = time.monotonic()
        try:
            # Its box runs in this very environment; what is installed here is there.
            bundles = build(self._target, locked=False)
        except EdgefnError as error:
            print_failure(error)
            self._failed = True
            self._say_what_serves()
            return
        changed = [each for each in bundles if not self._serves(each)]
        if self._failed and not changed:
            output.note("back to what serves")
        self._failed = False
        for bundle in changed:
            self._deploy(bundle, started_s)
        self._remove_all_but({bundle.manifest.spec.name for bundle in bundles})

    def _serves(self, bundle: Bundle) -> bool:
        return self._digests.get(bundle.manifest.spec.name) == bundle.manifest.digest()

    def _deploy(self, bundle: Bundle, started_s: float) -> None:
        name = bundle.manifest.spec.name
        try:
            status = self._admin.deploy(bundle)
        except EdgefnError as error:
            print_failure(error, subject=name)
            self._failed = True
            output.note(what_serves(self._admin, name))
            return
        for text in bundle.notes:
            output.note(output.plain(text))
        if name not in self._digests:
            output.note(self._admin.example(name))
        self._digests[name] = bundle.manifest.digest()
        took_s = time.monotonic() - started_s
        output.out.print(
            output.plain(f"{name} revision {status.revision} serves, {took_s:.2f} s", "green")
        )
        self._follow(name)

    def _remove_all_but(self, names: set[str]) -> None:
        for name in self._digests.keys() - names:
            self._admin.remove(name)
            del self._digests[name]
            output.out.print(output.plain(f"{name} is no longer declared, and gone", "yellow"))

    def _say_what_serves(self) -> None:
        for name in self._digests:
            output.note(what_serves(self._admin, name))

    def _follow(self, name: str) -> None:
        if name not in self._followed:
            self._followed.add(name)
            following = threading.Thread(target=self._print_log, args=(name,), daemon=True)
            following.start()

    def _print_log(self, name: str) -> None:
        try:
            with AdminClient(self._admin.url) as admin:
                for line in admin.follow(name, last=SHOWN_LINES):
                    print_line(line, prefix=name)
        except EdgefnError:
            self._followed.discard(name)  # it is gone, or the box is
