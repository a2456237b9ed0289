"""Evaluates variants of a function, from the build's side."""

import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edgefn.build_options import BuildOptions
from edgefn.compress.children.process import ChildDied, ChildProcess, ChildSilent
from edgefn.compress.children.runs_file import read_runs
from edgefn.compress.errors import EvaluationFailed, InvalidData
from edgefn.compress.evaluation.captured import Captured
from edgefn.compress.evaluation.messages import (
    Capture,
    CapturedRuns,
    Draw,
    Drawn,
    Evaluate,
    FromEvaluator,
    Refused,
    ToEvaluator,
)
from edgefn.compress.evaluation.result import Evaluation
from edgefn.compress.progress import OnShare
from edgefn_runtime.manifest import FunctionSpec


def _to_nobody(share: float) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """How long nothing may be heard of the user's code before it counts as hanging, in seconds.

    Attributes:
        drawing_s: Between two rows; the first may have to be downloaded.
        loading_s: What a run may take beyond the function's own `timeout_s`.
    """

    drawing_s: float = 600.0
    loading_s: float = 60.0


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
        on_share: Called with the share of the drawing that is done.
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
        rows: int,
        data: str = "",
        on_share: OnShare = _to_nobody,
        silence: Silence | None = None,
    ) -> None:
        name, separator, attribute_of_data = data.rpartition(":")
        data = f"{Path(name).resolve()}{separator}{attribute_of_data}" if data else ""
        self._asked = Draw(
            file=str(file.resolve()), attribute=attribute, options=options, data=data, rows=rows
        )
        self._spec = spec
        self._on_share = on_share
        self._silence = silence or Silence()
        self._process: ChildProcess[FromEvaluator] | None = None
        self._drawn: Drawn | None = None
        self._given: Evaluation | None = None
        self._digests = _digests(file.parent / path for path in spec.models.values())

    def __enter__(self) -> Self:
        try:
            self._start(self._on_share)
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

    def capture(self, on_share: OnShare = _to_nobody) -> Captured:
        """Runs the calibration rows through the models as given.

        Args:
            on_share: Called with the share of the work that is done.

        Raises:
            InvalidData: The function fails on them.
        """
        with tempfile.TemporaryDirectory(prefix="edgefn-") as folder:
            try:
                found = self._ask(Capture(folder=folder), on_share)
            except EvaluationFailed as error:
                raise _not_even_as_given(error) from error
            assert isinstance(found, CapturedRuns)
            read = {
                parameter: read_runs(Path(folder, f"{parameter}.npz"), count)
                for parameter, count in found.runs.items()
            }
        return Captured(
            inputs={parameter: inputs for parameter, (inputs, _) in read.items()},
            outputs={parameter: outputs for parameter, (_, outputs) in read.items()},
            labels=found.labels,
            data_digest=self.drawn.digest,
            rows=self.drawn.rows,
            calibration_rows=self.drawn.calibration_rows,
            labelled=self.drawn.labelled,
        )

    def given(self, on_share: OnShare = _to_nobody) -> Evaluation:
        """Returns the evaluation of the models as given; made once.

        Args:
            on_share: Called with the share of the work that is done.

        Raises:
            InvalidData: The function fails with them, or no answer is right.
        """
        if self._given is None or self._process is None:
            try:
                self._given = self._evaluated(Evaluate(), on_share)
            except EvaluationFailed as error:
                raise _not_even_as_given(error) from error
        return self._given

    def evaluate(self, models: Mapping[str, Path], on_share: OnShare = _to_nobody) -> Evaluation:
        """Evaluates one variant.

        Args:
            models: Its file for each of the function's parameters.
            on_share: Called with the share of the work that is done.

        Raises:
            EvaluationFailed: The function raises, crashes or hangs with it.
            InvalidData: It does so with the models as given, or the data are mistaken.
        """
        given = self.given(on_share)
        if _digests(models[parameter] for parameter in self._spec.models) == self._digests:
            return given
        paths = {parameter: str(path.resolve()) for parameter, path in models.items()}
        return self._evaluated(Evaluate(models=paths), on_share)

    def _evaluated(self, message: Evaluate, on_share: OnShare) -> Evaluation:
        found = self._ask(message, on_share)
        assert isinstance(found, Evaluation)
        return found

    @property
    def _run_s(self) -> float:
        return self._spec.timeout_s + self._silence.loading_s

    def _start(self, on_share: OnShare) -> None:
        """Starts a process and has it draw the rows, which must be the same ones each time."""
        self._process = ChildProcess("edgefn.compress.evaluation.child", FromEvaluator)
        drawn = self._exchange(self._process, self._asked, on_share)
        assert isinstance(drawn, Drawn)
        if self._drawn is not None and drawn.digest != self._drawn.digest:
            what = "--data" if self._asked.data else "evaluate="
            raise InvalidData(
                f"{what} yields other rows each time, so that variants cannot be compared; seed "
                "its random numbers"
            )
        self._drawn = drawn

    def _ask(self, message: Capture | Evaluate, on_share: OnShare) -> FromEvaluator:
        if self._process is None:
            self._start(on_share)
        assert self._process is not None
        return self._exchange(self._process, message, on_share)

    def _exchange(
        self, process: ChildProcess[FromEvaluator], message: ToEvaluator, on_share: OnShare
    ) -> FromEvaluator:
        drawing = isinstance(message, Draw)
        process.send(message)
        try:
            found = process.receive(self._silence.drawing_s if drawing else self._run_s, on_share)
        except (ChildDied, ChildSilent) as error:
            process.end()
            log = process.log()
            self.close()
            kind = InvalidData if drawing else EvaluationFailed
            doing = "drawing the rows" if drawing else "running the function"
            raise kind(f"{doing}: {error}", log=log) from error
        if isinstance(found, Refused):
            kind = InvalidData if found.is_data or drawing else EvaluationFailed
            raise kind(found.message, traceback=found.traceback, log=process.log())
        return found


def _not_even_as_given(error: EvaluationFailed) -> InvalidData:
    return InvalidData(
        f"the function fails with its models as they are given: {error.message}", **error.detail
    )


def _digests(paths: Iterable[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
