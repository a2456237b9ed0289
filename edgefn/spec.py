"""What a developer writes in `@edge_function(...)`, checked and made into a `FunctionSpec`.

Milliseconds end here: everything behind this module counts in seconds.
"""

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final, NoReturn, get_args

from packaging.requirements import InvalidRequirement, Requirement

from edgefn.alerts.declaration import InvalidAlert, make_alerts
from edgefn.build_options import MAX_ACCURACY_DROP, BuildOptions
from edgefn.errors import DeclarationError
from edgefn_runtime.manifest import NAME_PATTERN, Alert, FunctionSpec, Objective, Scale

MODEL_SUFFIXES: Final = (".onnx", ".tflite")
MAX_BATCH: Final = 1024
_NAME: Final = re.compile(NAME_PATTERN)
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
OPTIONS: Final = (
    "name", "model", "deadline_ms", "min_accuracy", "tiers", "batch", "scale", "timeout_s",
    "requirements", "objective", "priority", "idempotent", "escalate_below", "degrade", "on_result",
    "evaluate", "calibrate", "metric", "student", "max_accuracy_drop",
)  # fmt: skip

ModelOption = str | PurePath | Mapping[str, str | PurePath] | None
ScaleOption = Scale | Mapping[str, Any] | Sequence[float] | None


def make_spec(
    name: str,
    doc: str,
    *,
    model_parameters: Sequence[str],
    is_async: bool,
    options: Mapping[str, Any],
) -> FunctionSpec:
    """Returns the spec of a declaration.

    Args:
        name: Of the function or class, for messages and as the default name.
        doc: First paragraph of its docstring.
        model_parameters: Names of the parameters annotated with `Model`.
        is_async: Whether it is a coroutine function.
        options: What stands in the parentheses of `@edge_function(...)`.

    Raises:
        DeclarationError: An option is unknown or its value is wrong; says what to write instead.
    """
    declared = _Declaration(name)
    declared.check_known(options)
    defaults = FunctionSpec(name="default")
    given = {key: value for key, value in options.items() if value is not None}
    return FunctionSpec(
        name=declared.name(given.get("name")),
        doc=doc,
        models=declared.models(given.get("model"), model_parameters),
        deadline_s=declared.milliseconds("deadline_ms", given.get("deadline_ms")),
        min_accuracy=declared.fraction("min_accuracy", given.get("min_accuracy")),
        tiers=declared.names("tiers", given.get("tiers", defaults.tiers), '("edge", "cloud")'),
        batch=declared.count("batch", given.get("batch", 1), most=MAX_BATCH),
        scale=declared.scale(given.get("scale")),
        timeout_s=declared.seconds("timeout_s", given.get("timeout_s", defaults.timeout_s)),
        requirements=declared.requirements(given.get("requirements", ())),
        objective=declared.objective(given.get("objective", defaults.objective)),
        is_async=is_async,
        priority=declared.priority(given.get("priority", defaults.priority)),
        idempotent=declared.flag("idempotent", given.get("idempotent", False)),
        escalate_below=declared.fraction("escalate_below", given.get("escalate_below")),
        degrade=declared.degrade(given.get("degrade", False), given.get("min_accuracy")),
        on_result=declared.alerts(given.get("on_result", ())),
    )


def make_build_options(name: str, options: Mapping[str, Any]) -> BuildOptions:
    """Returns what a declaration says to `edgefn build`.

    Raises:
        DeclarationError: A value is wrong; says what to write instead.
    """
    declared = _Declaration(name)
    references = {
        option: declared.reference(option, options.get(option))
        for option in ("evaluate", "calibrate", "metric", "student")
    }
    if references["metric"] and not references["evaluate"]:
        declared.refuse('metric= needs labels; write evaluate="evaluate.py:samples" as well')
    return BuildOptions(
        **references, max_accuracy_drop=declared.drop(options.get("max_accuracy_drop"))
    )


class _Declaration:
    """Checks the options of one declaration, one method an option."""

    def __init__(self, name: str) -> None:
        self._name = name

    def refuse(self, message: str) -> NoReturn:
        # The message says all of what was wrong; the frames of a parser would say it no better.
        raise DeclarationError(f"@edge_function {self._name}: {message}") from None

    def check_known(self, options: Mapping[str, Any]) -> None:
        for option in options:
            if option not in OPTIONS:
                near = difflib.get_close_matches(option, OPTIONS, 1, 0.5)
                hint = f"Did you mean {near[0]}=?" if near else f"There are {', '.join(OPTIONS)}."
                self.refuse(f"unknown option {option}=. {hint}")

    def name(self, value: Any) -> str:
        name = self._name if value is None else value
        if value is None and not name.islower():
            name = _HUMP.sub("_", name).lower()
        if not isinstance(name, str) or not _NAME.match(name):
            self.refuse(
                f"{name!r} cannot be a name in a URL; write name= with lower-case letters, digits, "
                "- and _, a letter first, at most 63"
            )
        return name

    def models(self, value: ModelOption, parameters: Sequence[str]) -> dict[str, str]:
        if value is None:
            if parameters:
                self.refuse(
                    f"parameter {parameters[0]!r} is a Model, but no model is named; "
                    'write model="file.onnx"'
                )
            return {}
        if isinstance(value, Mapping):
            models = {name: self._model_path(path) for name, path in value.items()}
        elif len(parameters) > 1:
            names = ", ".join(f'"{name}": "..."' for name in parameters)
            self.refuse(f"it has {len(parameters)} Model parameters; write model={{{names}}}")
        else:
            models = {name: self._model_path(value) for name in parameters or ("model",)}
        if sorted(models) != sorted(parameters):
            self.refuse(
                f"model= names {sorted(models)}, but the parameters annotated with Model are "
                f"{sorted(parameters)}; add a parameter such as `model: Model` for each"
            )
        return models

    def _model_path(self, value: Any) -> str:
        if not isinstance(value, str | PurePath):
            self.refuse(f'model={value!r} is not a path; write model="file.onnx"')
        path = PurePath(value)
        if path.suffix not in MODEL_SUFFIXES:
            self.refuse(f"model {str(value)!r} is neither .onnx nor .tflite")
        if path.is_absolute() or ".." in path.parts:
            self.refuse(
                f"model {str(value)!r} must lie in the function's folder; write its path from there"
            )
        return path.as_posix()

    def milliseconds(self, option: str, value: Any) -> float | None:
        return None if value is None else self._positive(option, value, "50") / 1000.0

    def seconds(self, option: str, value: Any) -> float:
        return self._positive(option, value, "30")

    def _positive(self, option: str, value: Any, example: str) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or value <= 0:
            self.refuse(f"{option}={value!r} is not a positive number; write {option}={example}")
        return float(value)

    def fraction(self, option: str, value: Any) -> float | None:
        if value is None:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value <= 1:
            self.refuse(f"{option}={value!r} is not between 0 and 1; write 90 % as {option}=0.90")
        return float(value)

    def flag(self, option: str, value: Any) -> bool:
        if not isinstance(value, bool):
            self.refuse(f"{option}={value!r} is neither True nor False; write {option}=True")
        return value

    def priority(self, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 9:
            self.refuse(
                f"priority={value!r} is not a whole number from 0 to 9, the more urgent the "
                "higher; write priority=9 for an alarm"
            )
        return value

    def degrade(self, value: Any, min_accuracy: Any) -> bool:
        degrade = self.flag("degrade", value)
        if degrade and min_accuracy is None:
            self.refuse("degrade= lowers a floor that is not there; write min_accuracy= as well")
        return degrade

    def alerts(self, value: Any) -> tuple[Alert, ...]:
        try:
            return make_alerts(value)
        except InvalidAlert as error:
            self.refuse(str(error))

    def drop(self, value: Any) -> float:
        if value is None:
            return MAX_ACCURACY_DROP
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value < 1:
            self.refuse(
                f"max_accuracy_drop={value!r} is not a share of 1; write half a point as "
                "max_accuracy_drop=0.005"
            )
        return float(value)

    def reference(self, option: str, value: Any) -> str:
        if value is None:
            return ""
        example = f'{option}="evaluate.py:samples"'
        if not isinstance(value, str):
            self.refuse(f"{option}={value!r} is not a string; write {example}")
        file, _, attribute = value.rpartition(":")
        path = PurePath(file)
        if path.suffix != ".py" or not attribute.isidentifier():
            self.refuse(f"{option}={value!r} is no file and callable; write {example}")
        if path.is_absolute() or ".." in path.parts:
            self.refuse(f"{option}={value!r}: the file must lie in the function's folder")
        return value

    def count(self, option: str, value: Any, *, most: int) -> int:
        is_count = isinstance(value, int) and not isinstance(value, bool)
        if not is_count or not 1 <= value <= most:
            self.refuse(
                f"{option}={value!r} is not a whole number from 1 to {most}; write {option}=16"
            )
        return int(value)

    def names(self, option: str, value: Any, example: str) -> tuple[str, ...]:
        if isinstance(value, str):
            self.refuse(f"{option}={value!r} is one string; write {option}=({value!r},)")
        if not isinstance(value, Iterable):
            self.refuse(f"{option}={value!r} is no list of names; write {option}={example}")
        names = tuple(value)
        if not names or not all(isinstance(name, str) and name for name in names):
            self.refuse(f"{option}={value!r} is no list of names; write {option}={example}")
        return names

    def scale(self, value: ScaleOption) -> Scale:
        example = "scale=(0, 4, 60), which is (min, max, idle_s), or scale=Scale(min=0)"
        if value is None:
            return Scale()
        if isinstance(value, Mapping):
            unknown = [key for key in value if key not in Scale.__struct_fields__]
            if unknown:
                self.refuse(f"scale has no {unknown[0]!r}; write {example}")
            scale = Scale(**value)
        elif isinstance(value, Scale):
            scale = value
        elif isinstance(value, Sequence) and not isinstance(value, str) and 1 <= len(value) <= 3:
            given: dict[str, Any] = dict(zip(Scale.__struct_fields__, value, strict=False))
            scale = Scale(**given)
        else:
            self.refuse(f"scale={value!r}; write {example}")
        whole = isinstance(scale.min, int) and isinstance(scale.max, int)
        if not whole or not 0 <= scale.min <= scale.max or scale.max < 1:
            self.refuse(f"scale needs whole numbers with 0 <= min <= max and max >= 1; got {scale}")
        if not isinstance(scale.idle_s, int | float) or not scale.idle_s > 0:
            self.refuse(f"scale needs idle_s > 0; got {scale}")
        return scale

    def requirements(self, value: Any) -> tuple[str, ...]:
        lines = self.names("requirements", value, '("scipy>=1.14",)') if value else ()
        for line in lines:
            try:
                Requirement(line)
            except InvalidRequirement as error:
                self.refuse(f"requirement {line!r}: {str(error).splitlines()[0]}")
        return lines

    def objective(self, value: Any) -> Objective:
        choices = get_args(Objective)
        if value not in choices:
            near = difflib.get_close_matches(str(value), choices, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            self.refuse(f"objective={value!r} is none of {', '.join(choices)}{hint}")
        objective: Objective = value
        return objective
