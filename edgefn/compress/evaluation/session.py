"""A function with its data: draws the rows once, then runs variants of the models on them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgefn.compress.children.runs_file import write_runs
from edgefn.compress.children.user_code import References, guilty_line, spell
from edgefn.compress.errors import InvalidData
from edgefn.compress.evaluation.answers import decided, matches
from edgefn.compress.evaluation.calls import Answer, Calls
from edgefn.compress.evaluation.classes import classes_of
from edgefn.compress.evaluation.messages import Capture, CapturedRuns, Draw, Drawn, Evaluate
from edgefn.compress.evaluation.noise import is_never_finite, snr_db
from edgefn.compress.evaluation.result import Evaluation
from edgefn.compress.evaluation.rows import Data, Row, draw, split
from edgefn.compress.evaluation.tape import Tape, TapedModel
from edgefn_runtime.backends import load_model
from edgefn_runtime.loader import import_file
from edgefn_runtime.servable import Servable
from edgefn_runtime.tracebacks import describe, traceback_of

MAX_TAPE_BYTES: Final = 256 * 1024 * 1024  # of what one model takes and gives; the rest is not kept

Array = np.ndarray[Any, Any]
Models = Mapping[str, TapedModel]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Observed:
    """What one variant did on the evaluation rows."""

    answers: Sequence[Answer]
    models: Models
    scores: list[float] | None

    def outputs_of(self, parameter: str) -> list[list[list[Array]]]:
        return self.models[parameter].tape.outputs()


class Session:
    """One function, imported, with its rows.

    Args:
        asked: What to import and to draw.
        on_share: Called with the share that is done of whatever is under way.

    Raises:
        InvalidData: The data, or what yields them, are not as they must be.
    """

    def __init__(self, asked: Draw, on_share: Callable[[float], None]) -> None:
        self._folder = Path(asked.file).parent
        self._on_share = on_share
        module = import_file(Path(asked.file))
        self._servable: Servable = getattr(module, asked.attribute)
        references = References(module, Path(asked.file))
        options = asked.options
        metric = options.metric
        self._evaluated_on = (
            spell("--data", asked.data) if asked.data else spell("evaluate", options.evaluate)
        )
        self._calibrated_on = (
            spell("calibrate", options.calibrate) if options.calibrate else self._evaluated_on
        )
        self._metric = references.find(metric, "metric") if metric else None
        self._data = self._draw(asked, references)
        self._given: _Observed | None = None

    def drawn(self) -> Drawn:
        """Returns what there is to know of the data."""
        return Drawn(
            digest=self._data.digest(),
            rows=len(self._data.evaluation),
            calibration_rows=len(self._data.calibration),
            labelled=self._data.labelled,
        )

    def capture(self, asked: Capture) -> CapturedRuns:
        """Runs the calibration rows through the models as given, and writes what was seen.

        Raises:
            EvaluationFailed: The function fails on a row.
            InvalidData: It refuses all rows, or a model makes nothing of them.
        """
        models = self._load({}, keep_inputs=True)
        answers = self._run(models, self._data.calibration, at_once=1)
        _check_use(answers, models, self._calibrated_on)
        for parameter, model in models.items():
            write_runs(Path(asked.folder, f"{parameter}.npz"), _runs(model))
        counts = {name: sum(map(len, model.tape.steps)) for name, model in models.items()}
        labels = {name: self._classes(model) for name, model in models.items()}
        return CapturedRuns(runs=counts, labels=labels)

    def evaluate(self, asked: Evaluate) -> Evaluation:
        """Runs the evaluation rows with some models; the models as given have to be the first.

        Raises:
            EvaluationFailed: The function fails on a row.
            InvalidData: A label or the metric is not as it must be.
        """
        found = self._observe(asked.models)
        if self._given is None:
            self._check(found)
            self._given = found
        return self._compare(self._given, found)

    def _classes(self, model: TapedModel) -> list[int]:
        """Returns the class that is right for each run on a tape, if each is that of one row."""
        labels = [row.label for row in self._data.calibration]
        steps = model.tape.steps
        if any(label is None for label in labels) or any(len(step) != 1 for step in steps):
            return []
        return classes_of(labels, [step[0].outputs[0] for step in steps])

    def _observe(self, paths: Mapping[str, str]) -> _Observed:
        models = self._load(paths, keep_inputs=False)
        rows = self._data.evaluation
        answers = self._run(models, rows, at_once=self._servable.spec.batch)
        scores = None
        if self._data.labelled:
            scores = [self._score(*pair) for pair in zip(answers, rows, strict=True)]
        return _Observed(answers=answers, models=models, scores=scores)

    def _load(self, paths: Mapping[str, str], *, keep_inputs: bool) -> Models:
        models = {}
        for parameter, relative in self._servable.spec.models.items():
            path = Path(paths.get(parameter) or self._folder / relative)
            tape = Tape(limit_bytes=MAX_TAPE_BYTES, keep_inputs=keep_inputs)
            models[parameter] = TapedModel(load_model(path.read_bytes(), path.name), tape)
        return models

    def _run(self, models: Models, rows: Sequence[Row], *, at_once: int) -> list[Answer]:
        answers: list[Answer] = []
        with Calls(self._servable, models) as calls:
            for start in range(0, len(rows), at_once):
                for model in models.values():
                    model.tape.next_step()
                answers += calls.answer([row.inputs for row in rows[start : start + at_once]])
                self._on_share(len(answers) / len(rows))
        return answers

    def _score(self, answer: Answer, row: Row) -> float:
        if answer.refused:
            return 0.0
        if self._metric is None:
            return float(matches(answer.dumped, row.label))
        try:
            score = float(self._metric(answer.value, row.label))
        except Exception as error:
            raise self._users("metric", error) from error
        if not 0 <= score <= 1:
            raise InvalidData(
                f"metric= returned {score} for label {row.label!r:.80}; a score from 0 to 1 was "
                "expected"
            )
        return score

    def _check(self, given: _Observed) -> None:
        """Refuses data on which even the models as given do nothing right: they are mistaken."""
        _check_use(given.answers, given.models, self._evaluated_on)
        if given.scores is None or any(given.scores):
            return
        answer = next(answer for answer in given.answers if not answer.refused)
        place = given.answers.index(answer)
        raise InvalidData(
            f"no answer scores above 0, even with the model as given: it answers "
            f"{answer.dumped!r:.200}, and the label is {self._data.evaluation[place].label!r:.80}"
        )

    def _compare(self, given: _Observed, found: _Observed) -> Evaluation:
        pairs = list(zip(given.answers, found.answers, strict=True))
        ratios = [
            ratio
            for name in given.models
            if (ratio := snr_db(given.outputs_of(name), found.outputs_of(name))) is not None
        ]
        return Evaluation(
            scores=found.scores,
            agreement=_agreement(pairs),
            snr_db=min(ratios) if ratios else None,
        )

    def _draw(self, asked: Draw, references: References) -> Data:
        options = asked.options
        calibration = None
        if options.calibrate:
            found, _ = self._rows("calibrate", options.calibrate, asked.rows, references)
            calibration = found
        drawn, labelled = self._rows(
            "--data" if asked.data else "evaluate",
            asked.data or options.evaluate,
            asked.rows,
            references,
        )
        if self._metric is not None and not labelled:
            raise InvalidData(
                f"metric= compares answers with labels, but {self._evaluated_on} yields none"
            )
        return split(drawn, labelled, calibration, self._evaluated_on)

    def _rows(
        self, option: str, reference: str, limit: int, references: References
    ) -> tuple[list[Row], bool]:
        yields, what = references.find(reference, option), spell(option, reference)
        try:
            items: Iterable[Any] = iter(yields())
            return draw(
                items,
                limit,
                what,
                lambda done: self._on_share(done / limit),
            )
        except InvalidData:
            raise
        except Exception as error:
            raise self._users(what, error) from error

    def _users(self, what: str, error: Exception) -> InvalidData:
        line = guilty_line(error, self._folder)
        return InvalidData(
            f"{what} raises {describe(error)}" + (f" ({line})" if line else ""),
            traceback=traceback_of(error, str(self._folder)),
        )


def _check_use(answers: Sequence[Answer], models: Models, rows: str) -> None:
    """Refuses rows that the function, or a model as given, makes nothing of."""
    if all(answer.refused for answer in answers):
        raise InvalidData(f"the function refuses every row of {rows}: {answers[0].refused}")
    for parameter, model in models.items():
        if is_never_finite(model.tape.outputs()):
            raise InvalidData(
                f"the model as given ({parameter}=) answers no row of {rows} with a finite number: "
                "all its outputs are NaN or infinite, so that no variant can be compared with it; "
                "mend the model, or give rows like those that it was trained on"
            )


def _runs(model: TapedModel) -> Iterator[tuple[dict[str, Array], list[Array]]]:
    """Yields what is on a model's tape, run by run: inputs by name, and outputs."""
    names = [info.name for info in model.inputs]
    for step in model.tape.steps:
        for run in step:
            yield dict(zip(names, run.inputs, strict=True)), run.outputs


def _agreement(pairs: Sequence[tuple[Answer, Answer]]) -> list[bool] | None:
    """Returns which answers decide the same; None if no answer decides anything."""
    equal, discrete = [], False
    for first, second in pairs:
        if first.refused or second.refused:
            equal.append(bool(first.refused) == bool(second.refused))
            continue
        (wanted, some), (found, more) = decided(first.dumped), decided(second.dumped)
        equal.append(wanted == found)
        discrete = discrete or some or more
    return equal if discrete else None
