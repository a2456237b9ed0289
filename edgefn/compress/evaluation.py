"""Evaluates variants of a function, from the build's side."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from edgefn.build_options import BuildOptions
from edgefn.compress.child_process import ChildDied, ChildProcess, ChildSilent
from edgefn.compress.errors import EvaluationFailed, InvalidData
from edgefn.compress.exchange import (
    Capture,
    CapturedRuns,
    Draw,
    Drawn,
    Evaluate,
    Evaluated,
    FromEvaluator,
    Progress,
    Refused,
    ToEvaluator,
)
from edgefn.compress.recipe import Row
from edgefn.compress.scores import Evaluation
from edgefn_runtime.manifest import FunctionSpec

__all__ = ["Captured", "Evaluation", "EvaluationFailed", "Evaluator", "InvalidData"]

ROWS: Final = 1000

Array = np.ndarray[Any, Any]
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """How long nothing may be heard of the user's code before it counts as hanging, in seconds.

    Attributes:
        drawing_s: Between two rows; the first may have to be downloaded.
        loading_s: What a run may take beyond the function's own `timeout_s`.
    """

    drawing_s: float = 600.0
    loading_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What goes into the models as given on the calibration rows, and comes out; and of what data.

    Attributes:
        inputs: By parameter, of each run the inputs by name, as the function passed them. One row
            of data is one call of the function; the first runs only, if they take much memory.
        outputs: By parameter, of each of these runs the outputs.
        data_digest: SHA-256 over all rows and labels, and over which are for calibration.
        rows: How many there are to evaluate on.
        calibration_rows: How many there are beside these.
        labelled: Whether rows have labels.
    """

    inputs: Mapping[str, Sequence[Row]]
    outputs: Mapping[str, Sequence[Sequence[Array]]]
    data_digest: str
    rows: int
    calibration_rows: int
    labelled: bool


class Evaluator:
    """A function with its data, in a process of its own. A context manager; entering draws.

    Make it on a thread that lives as long: the kernel ends the process with the thread.

    Args:
        file: The declaring file.
        attribute: The function's name in it.
        spec: What was declared.
        options: What was declared for the build.
        rows: Drawn at most, of evaluate and of calibrate.
        data: A reference `file.py:name`, the file relative to the working directory, that takes
            the place of `options.evaluate`.
        on_progress: Called with what is done, how many rows are, and how many are to be.
        silence: When it counts as hanging.

    Raises:
        InvalidData: On entering: the data, or the code that yields them, are not as they must be.
    """

    def __init__(
        self,
        file: Path,
        attribute: str,
        spec: FunctionSpec,
        options: BuildOptions,
        *,
        rows: int = ROWS,
        data: str = "",
        on_progress: OnProgress = lambda what, done, total: None,
        silence: Silence | None = None,
    ) -> None:
        name, separator, attribute_of_data = data.rpartition(":")
        data = f"{Path(name).resolve()}{separator}{attribute_of_data}" if data else ""
        self._asked = Draw(
            file=str(file.resolve()), attribute=attribute, options=options, data=data, rows=rows
        )
        self._spec = spec
        self._on_progress = on_progress
        self._silence = silence or Silence()
        self._process: ChildProcess[FromEvaluator] | None = None
        self._drawn: Drawn | None = None
        self._given: Evaluation | None = None
        self._digests = _digests(file.parent / path for path in spec.models.values())

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process, and all that the user's code started in it."""
        if self._process is not None:
            self._process.close()
            self._process = None

    @property
    def drawn(self) -> Drawn:
        """The digest of the rows, how many there are, and whether they have labels."""
        if self._drawn is None:
            raise RuntimeError("enter the evaluator first")
        return self._drawn

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._process.pid if self._process is not None else None

    def capture(self) -> Captured:
        """Runs the calibration rows through the models as given.

        Raises:
            InvalidData: The function fails on them.
        """
        with tempfile.TemporaryDirectory(prefix="edgefn-") as folder:
            try:
                found = self._ask(Capture(folder=folder), self._run_s)
            except EvaluationFailed as error:
                raise _not_even_as_given(error) from error
            assert isinstance(found, CapturedRuns)
            read = {
                parameter: _read(Path(folder, f"{parameter}.npz"), runs)
                for parameter, runs in found.runs.items()
            }
        return Captured(
            inputs={parameter: inputs for parameter, (inputs, _) in read.items()},
            outputs={parameter: outputs for parameter, (_, outputs) in read.items()},
            data_digest=self.drawn.digest,
            rows=self.drawn.rows,
            calibration_rows=self.drawn.calibration_rows,
            labelled=self.drawn.labelled,
        )

    def given(self) -> Evaluation:
        """Returns the evaluation of the models as given; made once.

        Raises:
            InvalidData: The function fails with them, or no answer is right.
        """
        if self._given is None or self._process is None:
            try:
                self._given = _evaluation(self._ask(Evaluate(), self._run_s))
            except EvaluationFailed as error:
                raise _not_even_as_given(error) from error
        return self._given

    def evaluate(self, models: Mapping[str, Path]) -> Evaluation:
        """Evaluates one variant.

        Args:
            models: Its file for each of the function's parameters.

        Raises:
            EvaluationFailed: The function raises, crashes or hangs with it.
            InvalidData: It does so with the models as given, or the data are mistaken.
        """
        given = self.given()
        if _digests(models[parameter] for parameter in self._spec.models) == self._digests:
            return given
        paths = {parameter: str(path.resolve()) for parameter, path in models.items()}
        return _evaluation(self._ask(Evaluate(models=paths), self._run_s))

    @property
    def _run_s(self) -> float:
        return self._spec.timeout_s + self._silence.loading_s

    def _start(self) -> None:
        """Starts a process and has it draw the rows, which must be the same ones each time."""
        self._process = ChildProcess("edgefn.compress.evaluator", FromEvaluator)
        drawn = self._exchange(self._process, self._asked, self._silence.drawing_s)
        assert isinstance(drawn, Drawn)
        if self._drawn is not None and drawn.digest != self._drawn.digest:
            raise InvalidData(
                "evaluate= yields other rows each time, so that variants cannot be compared; seed "
                "its random numbers"
            )
        self._drawn = drawn

    def _ask(self, message: Capture | Evaluate, timeout_s: float) -> FromEvaluator:
        if self._process is None:
            self._start()
        assert self._process is not None
        return self._exchange(self._process, message, timeout_s)

    def _exchange(
        self, process: ChildProcess[FromEvaluator], message: ToEvaluator, timeout_s: float
    ) -> FromEvaluator:
        process.send(message)
        try:
            while isinstance(found := process.receive(timeout_s), Progress):
                self._on_progress(found.what, found.done, found.total)
        except (ChildDied, ChildSilent) as error:
            process.end()
            log = process.log()
            self.close()
            kind = InvalidData if isinstance(message, Draw) else EvaluationFailed
            doing = "drawing the rows" if isinstance(message, Draw) else "running the function"
            raise kind(f"{doing}: {error}", log=log) from error
        if isinstance(found, Refused):
            kind = InvalidData if found.is_data or isinstance(message, Draw) else EvaluationFailed
            raise kind(found.message, traceback=found.traceback, log=process.log())
        return found


def _not_even_as_given(error: EvaluationFailed) -> InvalidData:
    return InvalidData(
        f"the function fails with its models as they are given: {error.message}", **error.detail
    )


def _evaluation(found: FromEvaluator) -> Evaluation:
    assert isinstance(found, Evaluated)
    return Evaluation(
        scores=None if found.scores is None else np.array(found.scores),
        agreement=None if found.agreement is None else np.array(found.agreement, float),
        snr_db=found.snr_db,
    )


def _read(path: Path, runs: int) -> tuple[list[Row], list[list[Array]]]:
    rows: list[dict[str, Array]] = [{} for _ in range(runs)]
    outputs: list[list[Array]] = [[] for _ in range(runs)]
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:  # in the order in which they were written
            number, direction, name = key.split("/", 2)
            if direction == "in":
                rows[int(number)][name] = arrays[key]
            else:
                outputs[int(number)].append(arrays[key])
    return list(rows), outputs


def _digests(paths: Iterable[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
