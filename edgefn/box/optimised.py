"""The box's cache of optimised models, made in the background for whatever serves.

<state>/optimised/<SHA-256 of the model>-<key>/     graph, weights, and the record, written last

A replica that starts with one is ready sooner and shares the weights with the others; one that
starts without, or finds it damaged, loads the model as it was built.
"""

import asyncio
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from edgefn.box.child import Child
from edgefn.box.environments import Environments
from edgefn.box.optimised_key import engine_of, key_of, processor_of
from edgefn.box.revision import Revision
from edgefn_runtime.forkserver import ENVIRON
from edgefn_runtime.manifest import Environment
from edgefn_runtime.optimised import RECORD_FILE, OptimisedForm, Record
from edgefn_runtime.variant import BACKEND_OF_SUFFIX

# Below, there is nothing to share and a few ms to gain: see docs/performance.md.
LEAST_BYTES: Final = 1_000_000
TIMEOUT_S: Final = 300.0  # with the lowest priority, on a box that is busy

_CPUINFO: Final = Path("/proc/cpuinfo")
_MAKER: Final = "edgefn_runtime.optimise"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """One form that there should be."""

    model: Path
    sha256: str
    environment: Environment | None
    engine: str
    key: str

    @property
    def name(self) -> str:
        return f"{self.sha256}-{self.key}"


class OptimisedModels:
    """Which forms there are, and their making, one at a time.

    Each is made once, or tried once, in the life of a box. Forms that an earlier life left are
    used at once, and looked at before others are made; so a damaged one is replaced.

    Args:
        folder: Made when the first form is.
        environments: Have the interpreters of functions that bring an engine of their own.
        serving: The revisions that serve.
    """

    def __init__(
        self,
        folder: Path,
        environments: Environments,
        serving: Callable[[], Iterable[Revision]],
    ) -> None:
        self._folder = folder
        self._environments = environments
        self._serving = serving
        self._processor = processor_of(_CPUINFO.read_text())
        self._forms: dict[str, dict[str, OptimisedForm]] = {}  # by key, then by model
        self._seen: set[str] = set()  # names of what was looked at, made, or tried
        self._changed = asyncio.Event()

    def of(self, environment: Environment | None) -> Mapping[str, OptimisedForm]:
        """Returns the forms that replicas in an environment can use, by the SHA-256 of the model.

        It stays up to date. The first time, it reads some small files.
        """
        engine = engine_of(environment)
        return self._forms_of(engine, key_of(engine, self._processor))

    def look(self) -> None:
        """Has it seen to what serves now, soon."""
        self._changed.set()

    async def keep_making(self) -> None:
        """Makes what is missing after each `look`, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while (order := next(self._missing(), None)) is not None:
                self._seen.add(order.name)
                try:
                    await self._see_to(order)
                except Exception:
                    _log.exception("the optimised form of a model was not made")

    async def keep(self, models: set[str]) -> None:
        """Removes the forms of all models but these, by SHA-256, and those for another box."""
        for forms in self._forms.values():
            for model in forms.keys() - models:
                del forms[model]
        self._seen = {name for name in self._seen if name.partition("-")[0] in models}
        for path in list(self._folder.iterdir()) if self._folder.is_dir() else ():
            model, _, key = path.name.partition("-")
            if model not in models or key not in self._forms:
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)

    def _forms_of(self, engine: str, key: str) -> dict[str, OptimisedForm]:
        if key not in self._forms:
            self._forms[key] = dict(self._found(engine, key)) if key else {}
        return self._forms[key]

    def _found(self, engine: str, key: str) -> Iterator[tuple[str, OptimisedForm]]:
        for path in self._folder.glob(f"*-{key}"):
            form = _read(path, engine)
            if form is not None:
                yield path.name.partition("-")[0], form

    def _missing(self) -> Iterator[_Order]:
        """Yields what was not seen to yet; of each revision the default variant first."""
        for revision in self._serving():
            environment = revision.manifest.environment
            if environment is not None and not self._environments.is_installed(environment):
                continue
            engine = engine_of(environment)
            key = key_of(engine, self._processor)
            for sha256, model in _large_models(revision):
                order = _Order(
                    model=model, sha256=sha256, environment=environment, engine=engine, key=key
                )
                if key and order.name not in self._seen:
                    yield order

    async def _see_to(self, order: _Order) -> None:
        forms, folder = self._forms_of(order.engine, order.key), self._folder / order.name
        form = forms.get(order.sha256)
        if form is not None:
            if await asyncio.to_thread(_is_whole, form):
                return
            forms.pop(order.sha256, None)
            _log.warning("%s is damaged; it is made again", folder)
        reason = await self._make(order, folder)
        form = _read(folder, order.engine)
        if form is not None and not reason:
            forms[order.sha256] = form
            _log.info("%s: replicas load its optimised form from now on", order.model)
            return
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        if order.name in self._seen:  # else nobody wants it any more
            _log.warning("%s is loaded as it was built: %s", order.model, reason)

    async def _make(self, order: _Order, folder: Path) -> str:
        """Returns why it could not be made; empty if it was."""
        with tempfile.TemporaryFile() as told:
            try:
                child = Child(
                    _MAKER,
                    [str(order.model), order.sha256, str(folder), order.engine, str(told.fileno())],
                    pass_fds=[told.fileno()],
                    environ={**os.environ, **ENVIRON},
                    python=self._python(order.environment),
                )
            except OSError as error:
                return str(error)
            try:
                if not await child.wait_at_most(TIMEOUT_S):
                    return f"it took more than {TIMEOUT_S:g} s to optimise it"
            finally:
                child.kill()
                status = await child.wait()
            told.seek(0)
            reason = told.read().decode(errors="replace")
        return reason or (f"optimising it ended with status {status}" if status else "")

    def _python(self, environment: Environment | None) -> str:
        if environment is None:
            return sys.executable
        return str(self._environments.python(environment.digest()))


def _large_models(revision: Revision) -> Iterator[tuple[str, Path]]:
    """Yields the SHA-256 and the path of each ONNX model that is large enough and may be served."""
    for variant in revision.manifest.variants:
        for path in variant.models.values() if variant.name not in revision.refused else ():
            file = revision.manifest.file(path)
            backend = BACKEND_OF_SUFFIX.get(Path(path).suffix.lower())
            if backend == "onnx" and file.size >= LEAST_BYTES:
                yield file.sha256, revision.root / path


def _read(folder: Path, engine: str) -> OptimisedForm | None:
    try:
        record = msgspec.json.decode((folder / RECORD_FILE).read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError):
        return None
    return OptimisedForm(folder=str(folder), engine=engine, record=record)


def _is_whole(form: OptimisedForm) -> bool:
    try:
        return Record.of(Path(form.folder)) == form.record
    except OSError:
        return False
