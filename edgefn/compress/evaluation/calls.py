"""Calls a function in this process, as a replica does, only without bodies to decode."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgefn.compress.errors import EvaluationFailed
from edgefn.errors import FunctionFailed, InvalidInput
from edgefn_runtime.model import Model
from edgefn_runtime.servable import Servable
from edgefn_runtime.tracebacks import describe


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function made of one row.

    Attributes:
        value: What it returned.
        dumped: The same as builtins and arrays.
        refused: Why it did not take the inputs, if it did not.
    """

    value: Any = None
    dumped: Any = None
    refused: str = ""


class Calls:
    """One function with one variant of its models. A context manager.

    Raises:
        Exception: Whatever a class's constructor raises.
    """

    def __init__(self, servable: Servable, models: Mapping[str, Model]) -> None:
        self._servable = servable
        self._runner = asyncio.Runner() if servable.spec.is_async else None
        self._function = servable.prepare(models)

    def __enter__(self) -> "Calls":
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._runner is not None:
            self._runner.close()

    def answer(self, rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Answers rows: by one run if the function is a batched one, else one by one.

        Raises:
            EvaluationFailed: The function raises on a row that it should take, or returns what its
                annotation does not promise.
        """
        answers: dict[int, Answer] = {}
        bound: dict[int, dict[str, Any]] = {}
        for place, inputs in enumerate(rows):
            try:
                bound[place] = self._servable.signature.bind(inputs)
            except InvalidInput as error:
                answers[place] = Answer(refused=error.message)
        if self._batched and len(bound) > 1:
            answers |= self._together(bound)
        for place, arguments in bound.items():
            if place not in answers:
                answers[place] = self._alone(arguments)
        return [answers[place] for place in range(len(rows))]

    @property
    def _batched(self) -> bool:
        return self._servable.spec.batch > 1

    def _together(self, bound: Mapping[int, dict[str, Any]]) -> dict[int, Answer]:
        """Answers rows by one run; returns nothing if that raised: one row may be to blame."""
        names = next(iter(bound.values()))
        columns = {name: [arguments[name] for arguments in bound.values()] for name in names}
        try:
            results = list(self._call(columns))
            if len(results) != len(bound):
                return {}
            return {place: self._answer(value) for place, value in zip(bound, results, strict=True)}
        except Exception:
            return {}

    def _alone(self, arguments: dict[str, Any]) -> Answer:
        if self._batched:
            arguments = {name: [value] for name, value in arguments.items()}
        try:
            result = self._call(arguments)
            if self._batched:
                (result,) = _only(result)
            return self._answer(result)
        except InvalidInput as error:
            return Answer(refused=error.message)
        except FunctionFailed as error:
            raise EvaluationFailed(error.message) from error
        except Exception as error:
            raise EvaluationFailed(f"the function raises {describe(error)}") from error

    def _call(self, arguments: dict[str, Any]) -> Any:
        function: Callable[..., Any] = self._function
        if self._runner is None:
            return function(**arguments)
        return self._runner.run(function(**arguments))

    def _answer(self, value: Any) -> Answer:
        return Answer(value=value, dumped=self._servable.signature.dump(value))


def _only(results: Any) -> list[Any]:
    found = list(results)
    if len(found) != 1:
        raise FunctionFailed(f"a batch of one call was answered with {len(found)} results")
    return found
