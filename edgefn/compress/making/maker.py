"""Makes variants, each once: what was made is kept by what it was made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from edgefn.compress.cache import Cache, key_of
from edgefn.compress.children.process import ChildDied, ChildProcess, ChildSilent
from edgefn.compress.children.runs_file import write_runs
from edgefn.compress.making.messages import Finished, Make
from edgefn.compress.progress import OnShare
from edgefn.compress.recipe import Material, Recipe, RecipeFailed, Source
from edgefn.compress.task import Task

# Fine-tuning tells how far it is; what is silent for so long hangs.
_SILENT_S: Final = 1800.0


class _Made(msgspec.Struct, frozen=True):
    """What a recipe came to: a model, or why there is none, and would be none the next time."""

    data: bytes = b""
    failure: str = ""
    is_final: bool = True


@dataclass(slots=True, kw_only=True)
class Maker:
    """Makes all models of a function by one recipe after the other. A context manager.

    Recipes run in a process of their own, which is started when the cache cannot answer and again
    if it dies.

    Attributes:
        task: Whose models are to be compressed.
        sources: These models, by parameter.
        materials: What recipes may use, by parameter.
        data_digest: Of all that the materials come from.
        cache: Of earlier builds.
        work: A folder for files that nobody needs afterwards.
    """

    task: Task
    sources: Mapping[str, Source]
    materials: Mapping[str, Material]
    data_digest: str
    cache: Cache
    work: Path
    _process: ChildProcess[Finished] | None = None
    _written: set[str] = field(default_factory=set)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def make(self, recipe: Recipe, on_share: OnShare) -> dict[str, bytes]:
        """Returns the models of a variant, by parameter.

        Raises:
            RecipeFailed: The recipe does not work on one of them.
        """
        count = len(self.sources)
        made = {}
        for index, parameter in enumerate(self.sources):

            def on_part(share: float, done: int = index) -> None:
                on_share((done + share) / count)

            result = self._one(recipe, parameter, on_part)
            if result.failure:
                where = "" if count == 1 else f"{parameter}: "
                raise RecipeFailed(f"{where}{result.failure}")
            made[parameter] = result.data
        return made

    def _one(self, recipe: Recipe, parameter: str, on_share: OnShare) -> _Made:
        key = key_of(
            "made",
            self.sources[parameter].data,
            self.data_digest,
            parameter,
            recipe.name,
            recipe.version,
            str(self.materials[parameter].seed),
        )
        if (kept := self.cache.get(key)) is not None:
            return msgspec.msgpack.decode(kept, type=_Made)
        made = self._made(recipe, parameter, on_share)
        if made.is_final:
            self.cache.put(key, msgspec.msgpack.encode(made))
        return made

    def _made(self, recipe: Recipe, parameter: str, on_share: OnShare) -> _Made:
        """Has the process make one model; a recipe that kills it has failed."""
        asked = self._asked(recipe, parameter)
        if self._process is None:
            self._process = ChildProcess("edgefn.compress.making.child", Finished, self.work)
        self._process.send(asked)
        try:
            heard = self._process.receive(_SILENT_S, on_share)
        except (ChildDied, ChildSilent) as error:
            self._end()
            return _Made(failure=f"the recipe does not end well: {error}", is_final=False)
        if heard.failure:
            return _Made(failure=heard.failure, is_final=heard.is_final)
        return _Made(data=Path(asked.result).read_bytes())

    def _asked(self, recipe: Recipe, parameter: str) -> Make:
        material = self.materials[parameter]
        given, arrays = (self.work / f"{parameter}.{kind}" for kind in ("given", "npz"))
        if parameter not in self._written:
            self._written.add(parameter)
            given.write_bytes(self.sources[parameter].data)
            write_runs(arrays, zip(material.rows, material.outputs, strict=True))
        return Make(
            recipe=recipe.name,
            source=str(given),
            format=self.sources[parameter].format,
            material=str(arrays),
            runs=len(material.rows),
            labels=list(material.labels),
            seed=material.seed,
            result=str(self.work / "made"),
            file=str(self.task.file.resolve()),
            student=self.task.declared.options.student,
        )

    def _end(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None
