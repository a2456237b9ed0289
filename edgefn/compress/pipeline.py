"""Compresses the models of one function.

    models as given -> plan -> recipes -> gate -> replicas -> Pareto set

The models as given are the standard throughout. Whatever takes long is looked up in the cache
first, so that a build that was interrupted goes on where it was.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from edgefn.bundle.record import FOLDER
from edgefn.compress.candidate import Candidate
from edgefn.compress.children.user_code import check_named
from edgefn.compress.errors import EvaluationFailed
from edgefn.compress.evaluation.cached import CachedEvaluator, key_of_evaluations
from edgefn.compress.evaluation.captured import Captured
from edgefn.compress.evaluation.evaluator import Evaluator
from edgefn.compress.judging.gate import judge
from edgefn.compress.judging.selection import choose
from edgefn.compress.making.maker import Maker
from edgefn.compress.measuring.measure import measure
from edgefn.compress.outcome import Outcome, State
from edgefn.compress.plan import BACKEND_OF_FORMAT, REFERENCE, Step, plan
from edgefn.compress.progress import OnShare
from edgefn.compress.recipe import Material, Recipe, RecipeFailed, Source
from edgefn.compress.results.made_with import Data
from edgefn.compress.results.record import Compressed, compressed, none_left
from edgefn.compress.task import Means, Task, Wishes
from edgefn_runtime.variant import as_given

_SEED: Final = 0


def compress(task: Task, wishes: Wishes, means: Means, recipes: Sequence[Recipe]) -> Compressed:
    """Makes the variants of a function that has models.

    Raises:
        BuildFailed: No variant is left, or a model cannot be read.
        ConfigError: A variant is asked for that no recipe makes.
        EvaluationFailed: The function does not work even with its models as given.
        InvalidData: Its data, labels or metric are at fault, or it names a student that is not
            there.
    """
    sources = task.sources()
    if student := task.declared.options.student:
        check_named(student, "student", task.folder)
    device = means.goal.device
    steps = plan(
        recipes, sources, device=device, has_data=_has_data(task, wishes), only=wishes.only
    )
    given = as_given(task.declared.spec.models)
    if device.lacks(given.backend) and all(step.skip for step in steps):
        raise none_left(task.name, {step.recipe.name: step.skip for step in steps})
    return _Build(task, sources, wishes, means, steps).run()


class _Build:
    """One run of the pipeline."""

    def __init__(
        self,
        task: Task,
        sources: Mapping[str, Source],
        wishes: Wishes,
        means: Means,
        steps: Sequence[Step],
    ) -> None:
        self._task = task
        self._sources = sources
        self._wishes = wishes
        self._means = means
        self._steps = steps
        self._candidates: list[Candidate] = []
        self._left: list[Outcome] = []  # what was not even made

    def run(self) -> Compressed:
        if not _has_data(self._task, self._wishes):
            self._make(_no_material(self._task), data_digest="")
            self._add_given_unless_there_is_a_reference()
            return self._compressed(self._alive(), self._outcomes(), None)
        with ExitStack() as stack:
            with self._means.progress.step("draw the data") as on_share:
                evaluator = stack.enter_context(self._evaluator(on_share))
            with self._means.progress.step("run the data through the function") as on_share:
                captured = evaluator.capture(on_share)
            self._make(_materials(captured), captured.data_digest)
            key = key_of_evaluations(self._task, self._sources, captured.data_digest)
            self._judge(CachedEvaluator(evaluator, self._means.cache, key))
        self._measure(captured)
        return self._chosen(captured)

    def _evaluator(self, on_share: OnShare) -> Evaluator:
        declared = self._task.declared
        return Evaluator(
            self._task.file,
            declared.attribute,
            declared.spec,
            declared.options,
            rows=self._wishes.rows,
            data=self._wishes.data,
            on_share=on_share,
        )

    def _make(self, materials: Mapping[str, Material], data_digest: str) -> None:
        """Makes what the plan says; what cannot be made is left."""
        with Maker(
            task=self._task,
            sources=self._sources,
            materials=materials,
            data_digest=data_digest,
            cache=self._means.cache,
            work=self._means.work,
        ) as maker:
            for step in self._steps:
                if step.skip:
                    self._leave(step.recipe, "skipped", step.skip)
                else:
                    self._try(step.recipe, maker)

    def _try(self, recipe: Recipe, maker: Maker) -> None:
        try:
            with self._means.progress.step(f"make {recipe.name}") as on_share:
                made = maker.make(recipe, on_share)
        except RecipeFailed as error:
            self._leave(recipe, "failed", error.message)
        else:
            self._add(recipe, made)

    def _leave(self, recipe: Recipe, state: State, reason: str) -> None:
        self._left.append(
            Outcome(name=recipe.name, state=state, summary=recipe.summary, reason=reason)
        )

    def _add(self, recipe: Recipe, made: Mapping[str, bytes]) -> None:
        backend = BACKEND_OF_FORMAT[recipe.format]
        size_bytes = sum(map(len, made.values()))
        if lacks := self._means.goal.device.lacks(backend, size_bytes):
            self._leave(recipe, "skipped", lacks)
            return
        names = {parameter: self._file_name(recipe, parameter) for parameter in made}
        models = {parameter: self._means.work / name for parameter, name in names.items()}
        for parameter, path in models.items():
            path.write_bytes(made[parameter])
        self._candidates.append(
            Candidate(
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

    def _judge(self, by: CachedEvaluator) -> None:
        """Evaluates what was made, and refuses what is worse than the function allows."""
        with self._means.progress.step("evaluate the models as given") as on_share:
            given = by.evaluate(self._task.given(), on_share)
        for candidate in self._candidates:
            try:
                with self._means.progress.step(f"evaluate {candidate.name}") as on_share:
                    found = by.evaluate(candidate.models, on_share)
            except EvaluationFailed as error:
                candidate.end("refused", error.message)
                continue
            candidate.evaluated(found)
            verdict = judge(given, found, self._task.declared.options.max_accuracy_drop)
            if not verdict.accepted:
                candidate.end("refused", verdict.reason)
        if (added := self._add_given_unless_there_is_a_reference()) is not None:
            added.evaluated(given)

    def _add_given_unless_there_is_a_reference(self) -> Candidate | None:
        """Sees to it that the full precision is there, if the device can run it at all."""
        if any(each.name == REFERENCE and each.is_alive for each in self._candidates):
            return None
        variant = as_given(self._task.declared.spec.models)
        models = self._task.given()
        size_bytes = sum(path.stat().st_size for path in models.values())
        if self._means.goal.device.lacks(variant.backend, size_bytes):
            return None
        outcome = Outcome(
            name=variant.name, state="kept", summary="as it was given", size_bytes=size_bytes
        )
        added = Candidate(
            backend=variant.backend, models=models, paths=variant.models, outcome=outcome
        )
        self._candidates.insert(0, added)
        return added

    def _measure(self, captured: Captured) -> None:
        """Measures, in replicas, what was accepted."""
        alive = {each.name: each for each in self._alive()}
        with self._means.progress.step(f"measure {len(alive)} variants") as on_share:
            measured = measure(
                self._task.file,
                self._task.declared,
                {name: candidate.models for name, candidate in alive.items()},
                captured,
                on_share,
            )
        for name, candidate in alive.items():
            found = measured[name]
            if isinstance(found, str):
                candidate.end("failed", found)
            else:
                candidate.measured(found, self._means.goal)

    def _chosen(self, captured: Captured) -> Compressed:
        alive = {each.name: each for each in self._alive()}
        outcomes, variants = choose(
            self._outcomes(),
            [candidate.variant() for candidate in alive.values()],
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
        return self._compressed([alive[each.name] for each in variants], outcomes, data)

    def _compressed(
        self, kept: Sequence[Candidate], outcomes: Sequence[Outcome], data: Data | None
    ) -> Compressed:
        return compressed(self._task, self._sources, self._means.goal, kept, outcomes, data)

    def _alive(self) -> list[Candidate]:
        return [candidate for candidate in self._candidates if candidate.is_alive]

    def _outcomes(self) -> list[Outcome]:
        return [*(candidate.outcome for candidate in self._candidates), *self._left]


def _has_data(task: Task, wishes: Wishes) -> bool:
    return bool(wishes.data or task.declared.options.evaluate)


def _no_material(task: Task) -> dict[str, Material]:
    return {name: Material(rows=(), outputs=(), seed=_SEED) for name in task.given()}


def _materials(captured: Captured) -> dict[str, Material]:
    return {
        parameter: Material(
            rows=rows,
            outputs=captured.outputs[parameter],
            labels=captured.labels[parameter],
            seed=_SEED,
        )
        for parameter, rows in captured.inputs.items()
    }
