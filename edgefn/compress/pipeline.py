"""Compresses the models of one function.

    models as given -> plan -> recipes -> gate -> replicas -> Pareto set

The models as given are the standard throughout. Whatever takes long is looked up in the cache
first, so that a build that was interrupted goes on where it was.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgefn.bundle.record import FOLDER
from edgefn.compress.cache import Cache
from edgefn.compress.choosing import choose
from edgefn.compress.device import Goal
from edgefn.compress.errors import EvaluationFailed
from edgefn.compress.evaluation import Captured, Evaluator
from edgefn.compress.gate import judge
from edgefn.compress.judging import Judge, key_of_judging
from edgefn.compress.made_with import Data
from edgefn.compress.making import Maker
from edgefn.compress.measure import measure
from edgefn.compress.outcome import Outcome, State
from edgefn.compress.plan import BACKEND_OF_FORMAT, REFERENCE, Step, plan
from edgefn.compress.progress import OnShare, Progress
from edgefn.compress.recipe import Material, Recipe, RecipeFailed, Source
from edgefn.compress.recording import compressed, none_left
from edgefn.compress.task import Compressed, Task, Wishes
from edgefn.compress.trial import Trial
from edgefn_runtime.variant import as_given

_SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where variants are made, and by what means.

    Attributes:
        recipes: That there are.
        goal: The device that it is for.
        cache: Of earlier builds.
        progress: Is told how far it is.
        work: An empty folder for files that nobody needs afterwards.
    """

    recipes: Sequence[Recipe]
    goal: Goal
    cache: Cache
    progress: Progress
    work: Path


def compress(task: Task, wishes: Wishes, bench: Bench) -> Compressed:
    """Makes the variants of a function that has models.

    Raises:
        BuildFailed: No variant is left, or a model cannot be read.
        ConfigError: A variant is asked for that no recipe makes.
        EvaluationFailed: The function does not work even with its models as given.
        InvalidData: Its data, labels or metric are at fault.
    """
    sources = task.sources()
    steps = plan(
        bench.recipes,
        sources,
        device=bench.goal.device,
        has_data=_has_data(task, wishes),
        only=wishes.only,
    )
    given = as_given(task.declared.spec.models)
    if bench.goal.device.lacks(given.backend) and all(step.skip for step in steps):
        raise none_left(task.name, {step.recipe.name: step.skip for step in steps})
    return _Build(task, sources, wishes, bench, steps).run()


class _Build:
    """One run of the pipeline."""

    def __init__(
        self,
        task: Task,
        sources: Mapping[str, Source],
        wishes: Wishes,
        bench: Bench,
        steps: Sequence[Step],
    ) -> None:
        self._task = task
        self._sources = sources
        self._wishes = wishes
        self._bench = bench
        self._steps = steps
        self._progress = bench.progress
        self._trials: list[Trial] = []
        self._left: list[Outcome] = []  # what was not even made

    def run(self) -> Compressed:
        if not _has_data(self._task, self._wishes):
            self._make(_no_material(self._task), data_digest="")
            self._add_given_unless_there_is_a_reference()
            return self._unjudged()
        share = _Share()
        with ExitStack() as stack:
            with self._progress.step("draw the data") as share.on_share:
                evaluator = stack.enter_context(self._evaluator(share))
            with self._progress.step("run the data through the function") as share.on_share:
                captured = evaluator.capture()
            self._make(_materials(captured), captured.data_digest)
            key = key_of_judging(self._task, self._sources, captured.data_digest)
            self._judge(Judge(evaluator, self._bench.cache, key), share)
        self._measure(captured)
        return self._chosen(captured)

    def _evaluator(self, share: "_Share") -> Evaluator:
        declared = self._task.declared
        return Evaluator(
            self._task.file,
            declared.attribute,
            declared.spec,
            declared.options,
            rows=self._wishes.rows,
            data=self._wishes.data,
            on_progress=share.tell,
        )

    def _make(self, materials: Mapping[str, Material], data_digest: str) -> None:
        """Makes what the plan says; what cannot be made is left."""
        with Maker(
            task=self._task,
            sources=self._sources,
            materials=materials,
            data_digest=data_digest,
            cache=self._bench.cache,
            work=self._bench.work,
        ) as maker:
            for step in self._steps:
                if step.skip:
                    self._leave(step.recipe, "skipped", step.skip)
                else:
                    self._try(step.recipe, maker)

    def _try(self, recipe: Recipe, maker: Maker) -> None:
        try:
            with self._progress.step(f"make {recipe.name}") as on_share:
                made = maker.make(recipe, on_share)
        except RecipeFailed as error:
            self._leave(recipe, "failed", error.message)
        else:
            self._add(recipe, made)

    def _leave(self, recipe: Recipe, state: State, reason: str) -> None:
        self._left.append(
            Outcome(
                name=recipe.name,
                state=state,
                summary=recipe.summary,
                reason=reason,
            )
        )

    def _add(self, recipe: Recipe, made: Mapping[str, bytes]) -> None:
        backend = BACKEND_OF_FORMAT[recipe.format]
        size_bytes = sum(map(len, made.values()))
        if lacks := self._bench.goal.device.lacks(backend, size_bytes):
            self._leave(recipe, "skipped", lacks)
            return
        names = {parameter: self._file_name(recipe, parameter) for parameter in made}
        models = {parameter: self._bench.work / name for parameter, name in names.items()}
        for parameter, path in models.items():
            path.write_bytes(made[parameter])
        self._trials.append(
            Trial(
                backend=backend,
                models=models,
                paths={parameter: f"{FOLDER}/{name}" for parameter, name in names.items()},
                outcome=Outcome(
                    name=recipe.name, state="kept", summary=recipe.summary, size_bytes=size_bytes
                ),
            )
        )

    def _file_name(self, recipe: Recipe, parameter: str) -> str:
        single = len(self._task.declared.spec.models) == 1
        stem = recipe.name if single else f"{recipe.name}.{parameter}"
        return f"{self._task.prefix}{stem}.{recipe.format}"

    def _judge(self, by: Judge, share: "_Share") -> None:
        """Evaluates what was made, and refuses what is worse than the function allows."""
        with self._progress.step("evaluate the models as given") as share.on_share:
            given = by.evaluate(self._task.given())
        for trial in self._trials:
            try:
                with self._progress.step(f"evaluate {trial.name}") as share.on_share:
                    found = by.evaluate(trial.models)
            except EvaluationFailed as error:
                trial.end("refused", error.message)
                continue
            trial.evaluated(found)
            drop = self._task.declared.options.max_accuracy_drop
            verdict = judge(trial.name, given, found, drop)
            if not verdict.accepted:
                trial.end("refused", verdict.reason)
        if (added := self._add_given_unless_there_is_a_reference()) is not None:
            added.evaluated(given)

    def _add_given_unless_there_is_a_reference(self) -> Trial | None:
        """Sees to it that the full precision is there, if the device can run it at all."""
        if any(trial.name == REFERENCE and trial.is_alive for trial in self._trials):
            return None
        variant = as_given(self._task.declared.spec.models)
        models = self._task.given()
        size_bytes = sum(path.stat().st_size for path in models.values())
        if self._bench.goal.device.lacks(variant.backend, size_bytes):
            return None
        outcome = Outcome(
            name=variant.name, state="kept", summary="as it was given", size_bytes=size_bytes
        )
        added = Trial(backend=variant.backend, models=models, paths=variant.models, outcome=outcome)
        self._trials.insert(0, added)
        return added

    def _alive(self) -> list[Trial]:
        return [trial for trial in self._trials if trial.is_alive]

    def _measure(self, captured: Captured) -> None:
        """Measures, in replicas, what was accepted."""
        alive = {trial.name: trial for trial in self._alive()}
        with self._progress.step(f"measure {len(alive)} variants") as on_share:
            measured = measure(
                self._task.file,
                self._task.declared,
                {name: trial.models for name, trial in alive.items()},
                captured,
                on_share,
            )
        for name, trial in alive.items():
            found = measured[name]
            if isinstance(found, str):
                trial.end("failed", found)
            else:
                trial.measured(found, self._bench.goal)

    def _unjudged(self) -> Compressed:
        outcomes = (*(trial.outcome for trial in self._trials), *self._left)
        return compressed(
            self._task, self._sources, self._bench.goal, self._alive(), outcomes, None
        )

    def _chosen(self, captured: Captured) -> Compressed:
        alive = {trial.name: trial for trial in self._alive()}
        outcomes, variants = choose(
            [*(trial.outcome for trial in self._trials), *self._left],
            [trial.variant() for trial in alive.values()],
            references=(REFERENCE, as_given(self._task.declared.spec.models).name),
            min_accuracy=self._task.declared.spec.min_accuracy,
            keep_all=self._wishes.keep_all,
        )
        data = Data(
            digest=captured.data_digest,
            rows=captured.rows,
            calibration_rows=captured.calibration_rows,
            labelled=captured.labelled,
        )
        kept = [alive[each.name] for each in variants]
        return self._compressed(kept, outcomes, data)

    def _compressed(
        self, kept: Sequence[Trial], outcomes: Sequence[Outcome], data: Data | None
    ) -> Compressed:
        goal = self._bench.goal
        return compressed(self._task, self._sources, goal, kept, outcomes, data)


class _Share:
    """Hands on how far an evaluator is, to whichever step is under way."""

    def __init__(self) -> None:
        self.on_share: OnShare = lambda share: None

    def tell(self, what: str, done: int, total: int) -> None:
        """Takes what an evaluator says; the text is that of the step already."""
        self.on_share(done / max(total, 1))


def _has_data(task: Task, wishes: Wishes) -> bool:
    return bool(wishes.data or task.declared.options.evaluate)


def _no_material(task: Task) -> dict[str, Material]:
    return {name: Material(rows=(), outputs=(), seed=_SEED) for name in task.given()}


def _materials(captured: Captured) -> dict[str, Material]:
    return {
        parameter: Material(rows=rows, outputs=captured.outputs[parameter], seed=_SEED)
        for parameter, rows in captured.inputs.items()
    }
