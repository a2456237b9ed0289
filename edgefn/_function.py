"""`@edge_function`: declares a function, and never acts until it is called."""

import functools
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Generic, TypeVar, cast, overload

from edgefn.alerts.declaration import InvalidAlert
from edgefn.alerts.fields import check_fields
from edgefn.build_options import BuildOptions
from edgefn.errors import DeclarationError, LoadFailed
from edgefn.schema import Signature, annotations_of, is_model, item_of
from edgefn.spec import ScaleOption, make_build_options, make_spec
from edgefn_runtime.manifest import Alert, FunctionSpec, Objective
from edgefn_runtime.model import Model
from edgefn_runtime.servable import CONFIDENCE_FIELDS

R = TypeVar("R")


class EdgeFunction(Generic[R]):
    """A declared function or class. Call it as if it were not decorated.

    Attributes:
        spec: What was declared.
        signature: What goes in and out.
        options: For `edgefn build`.
        wrapped: The function or class itself.
        folder: Where its model files are looked for.
    """

    def __init__(
        self,
        wrapped: Callable[..., Any],
        spec: FunctionSpec,
        signature: Signature,
        options: BuildOptions,
    ) -> None:
        functools.update_wrapper(self, wrapped, updated=())
        self.wrapped = wrapped
        self.spec = spec
        self.signature = signature
        self.options = options
        self.folder = _folder_of(wrapped)
        self._lock = threading.Lock()
        self._prepared: Callable[..., Any] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        """Calls it in this process, with the backend that a replica would use.

        Models are loaded, and a class is constructed, at the first call. Arguments are taken as
        they are: nothing is decoded or checked.

        Raises:
            LoadFailed: A model file is missing or does not load.
        """
        with self._lock:
            if self._prepared is None:
                self._prepared = self.prepare(self._load_models())
        return cast(R, self._prepared(*args, **kwargs))

    def __repr__(self) -> str:
        return f"<edge function {self.spec.name!r}>"

    def prepare(self, models: Mapping[str, Model]) -> Callable[..., Any]:
        """Returns what a replica calls: models injected, a class constructed."""
        if not inspect.isclass(self.wrapped):
            return functools.partial(self.wrapped, **models)
        wants = _model_parameters(_constructor(self.wrapped))
        instance: Any = self.wrapped(**{name: models[name] for name in wants})
        for_calls = {name: model for name, model in models.items() if name not in wants}
        return functools.partial(instance.__call__, **for_calls)

    def _load_models(self) -> dict[str, Model]:
        if not self.spec.models:
            return {}
        from edgefn_runtime.backends import load_model  # declaring must not import an engine

        models = {}
        for parameter, relative in self.spec.models.items():
            path = self.folder / relative
            if not path.is_file():
                raise LoadFailed(f"{self.spec.name}: no model file {relative!r} in {self.folder}")
            models[parameter] = load_model(path.read_bytes(), relative)
        return models


@overload
def edge_function(function: Callable[..., R], /) -> EdgeFunction[R]: ...
@overload
def edge_function(
    *,
    name: str | None = None,
    model: str | PurePath | Mapping[str, str | PurePath] | None = None,
    deadline_ms: float | None = None,
    min_accuracy: float | None = None,
    tiers: Sequence[str] | None = None,
    batch: int | None = None,
    scale: ScaleOption = None,
    timeout_s: float | None = None,
    requirements: Sequence[str] | None = None,
    objective: Objective | None = None,
    priority: int | None = None,
    idempotent: bool | None = None,
    escalate_below: float | None = None,
    degrade: bool | None = None,
    on_result: Alert | Sequence[Alert] | None = None,
    evaluate: str | None = None,
    calibrate: str | None = None,
    metric: str | None = None,
    student: str | None = None,
    max_accuracy_drop: float | None = None,
) -> Callable[[Callable[..., R]], EdgeFunction[R]]: ...
def edge_function(function: Any = None, /, **options: Any) -> Any:
    """Declares a function, or a class with `__call__`, to be served by edgefn.

    Its annotations are its schema: builtins, pydantic models, `Tensor[...]`, `Image`, `Audio`. A
    parameter annotated with `Model` is given the loaded model. Of a class, the constructor is the
    set-up of a replica. Write it with or without parentheses.

    Args:
        function: What stands under the decorator.
        **options: All keyword-only, all optional:
            name: Under which it is called; default: its own, in lower case.
            model: Path of an .onnx or .tflite file in the function's folder; or, with several
                `Model` parameters, a mapping of their names to paths.
            deadline_ms: For calls that bring none of their own.
            min_accuracy: Between 0 and 1; below it no variant is served, but see `degrade`.
            tiers: Where its calls may go, in order of preference; default `("edge", "cloud")`.
            batch: Most calls in one run. Above 1 the function takes a list for each parameter and
                returns a list of the same length; it must not matter to a call who its neighbours
                are, since after an exception they are run again one by one.
            scale: `(min, max, idle_s)` replicas on a box; default `(1, 4, 300)`.
            timeout_s: Wall-clock limit on one run; a replica beyond it is killed. Default 30.
            requirements: Distributions that it needs, as in `("scipy>=1.14",)`.
            objective: What counts among variants and boxes that meet the deadline: `latency`
                (default), `balanced`, `accuracy` or `energy`.
            priority: From 0 to 9, the more urgent the higher, for calls that bring none of their
                own; default 5. Under overload a box refuses the lower ones first, of all functions.
            idempotent: Whether a call may run twice: hedged, or tried again when it is lost.
            escalate_below: Between 0 and 1; an answer whose `confidence` (or else `probability`)
                is below it goes to a better variant, if the deadline still allows.
            degrade: Whether a variant below `min_accuracy` may answer what none above it could in
                time; the answer then says `Edgefn-Sla: degraded`.
            on_result: What its answers set off: an `Alert`, or several.
            evaluate: For `edgefn build`, a callable as `"evaluate.py:samples"`: yields the inputs
                of a call, as a mapping of parameters to values, or `(inputs, label)`; data that
                the model was not trained on.
            calibrate: The same, for calibration and fine-tuning, labels or not; default: a quarter
                of what `evaluate` yields is set aside.
            metric: A callable that takes an answer and its label and returns a score from 0 to 1;
                default: 1 if they are equal. A label that is a mapping is compared with the fields
                of the answer that it names.
            student: A callable that returns a smaller `torch.nn.Module` to distil the model into.
            max_accuracy_drop: A variant that is worse by more is refused; default 0.01.

    Raises:
        DeclarationError: The declaration has a mistake; the message says what to write instead.
    """
    if function is None:
        return functools.partial(_declare, options=options)
    if not callable(function):
        raise DeclarationError(
            f"@edge_function({function!r}): options are named; write "
            f"@edge_function(name={function!r})"
            if isinstance(function, str)
            else f"@edge_function({function!r}): a function or class was expected under it"
        )
    if options:
        raise DeclarationError("write @edge_function(...) above the function, with options only")
    return _declare(function, options={})


def _declare(wrapped: Callable[..., Any], *, options: Mapping[str, Any]) -> EdgeFunction[Any]:
    if isinstance(wrapped, EdgeFunction):
        raise DeclarationError(f"@edge_function {wrapped.spec.name}: it is decorated twice")
    name = getattr(wrapped, "__name__", "")
    call = _entry_point(wrapped, name)
    annotations = _annotations(call, name)
    parameters = _parameters(call, name, annotations)
    model_parameters = [key for key, value in parameters.items() if is_model(value)]
    if inspect.isclass(wrapped):
        in_constructor = _model_parameters(_constructor(wrapped))
        _check_constructor(wrapped, name, in_constructor)
        model_parameters = [*in_constructor, *model_parameters]
    spec = make_spec(
        name,
        _first_paragraph(wrapped),
        model_parameters=model_parameters,
        is_async=inspect.iscoroutinefunction(call),
        options=options,
    )
    inputs = {key: value for key, value in parameters.items() if not is_model(value)}
    if "return" not in annotations:
        raise DeclarationError(
            f"@edge_function {name}: annotate what it returns, as in `-> float` or `-> Answer` "
            "with a pydantic model"
        )
    answer = annotations["return"]
    defaults = _defaults(call, inputs)
    if spec.batch > 1:
        inputs, answer = _unbatched(name, inputs, defaults, answer)
    signature = Signature(spec.name, inputs, defaults, answer)
    if spec.escalate_below is not None:
        _check_confidence(name, signature)
    if spec.on_result:
        _check_alerts(name, signature, spec.on_result)
    return EdgeFunction(wrapped, spec, signature, make_build_options(name, options))


def _check_confidence(name: str, signature: Signature) -> None:
    numbers = [
        field.name
        for field in (signature.outputs if signature.answers_object else ())
        if field.kind == "scalar" and field.v2.datatype != "BOOL"
    ]
    if not any(field in numbers for field in CONFIDENCE_FIELDS):
        raise DeclarationError(
            f"@edge_function {name}: escalate_below= needs an answer that says how sure it is; "
            "return a pydantic model with `confidence: float` (or `probability: float`), from 0 "
            "to 1"
        )


def _check_alerts(name: str, signature: Signature, alerts: tuple[Alert, ...]) -> None:
    try:
        check_fields(alerts, signature.described.output, signature.answers_object)
    except InvalidAlert as error:
        raise DeclarationError(f"@edge_function {name}: {error}") from None


def _entry_point(wrapped: Callable[..., Any], name: str) -> Callable[..., Any]:
    call = wrapped.__dict__.get("__call__") if inspect.isclass(wrapped) else wrapped
    if call is None:
        raise DeclarationError(
            f"@edge_function {name}: the class has no __call__; write "
            "`def __call__(self, x: float) -> float:`"
        )
    if inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call):
        raise DeclarationError(
            f"@edge_function {name}: it yields; return one answer (a list, if there are several)"
        )
    if not inspect.isfunction(call):
        raise DeclarationError(
            f"@edge_function: {name or wrapped!r} is neither a function nor a class with __call__"
        )
    return call


def _annotations(call: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return annotations_of(call)
    except NameError as error:
        raise DeclarationError(
            f"@edge_function {name}: an annotation names {error.name!r}, which its module does "
            "not have; import it (not only under TYPE_CHECKING)"
        ) from error


def _parameters(
    call: Callable[..., Any], name: str, annotations: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns parameter name to annotation, without `self`."""
    parameters = list(inspect.signature(call).parameters.values())
    if "." in call.__qualname__.rpartition("<locals>.")[2]:
        if call.__name__ != "__call__":
            raise DeclarationError(
                f"@edge_function {name}: it is a method; decorate the class, and name the method "
                "__call__"
            )
        parameters = parameters[1:]
    found = {}
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise DeclarationError(
                f"@edge_function {name}: *{parameter.name} has no schema; name each parameter"
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise DeclarationError(
                f"@edge_function {name}: {parameter.name!r} is positional-only, but callers send "
                "names; remove the / from its parameters"
            )
        if parameter.name not in annotations:
            raise DeclarationError(
                f"@edge_function {name}: parameter {parameter.name!r} has no annotation; write "
                f'its type, as in `{parameter.name}: Tensor["float32", 30]`'
            )
        found[parameter.name] = annotations[parameter.name]
    return found


def _constructor(wrapped: type) -> Callable[..., Any] | None:
    """Returns the `__init__` of a class, or None if it has none of its own."""
    found = inspect.getattr_static(wrapped, "__init__")
    return found if inspect.isfunction(found) else None


def _model_parameters(function: Callable[..., Any] | None) -> list[str]:
    if function is None:
        return []
    annotations = annotations_of(function)
    return [name for name, annotation in annotations.items() if is_model(annotation)]


def _check_constructor(wrapped: type, name: str, models: Sequence[str]) -> None:
    constructor = _constructor(wrapped)
    if constructor is None:
        return
    for parameter in list(inspect.signature(constructor).parameters.values())[1:]:
        if parameter.name not in models and parameter.default is parameter.empty:
            raise DeclarationError(
                f"@edge_function {name}: the constructor is called with its models only; give "
                f"{parameter.name!r} a default, or annotate it with Model"
            )


def _unbatched(
    name: str, inputs: Mapping[str, Any], defaults: Mapping[str, Any], answer: Any
) -> tuple[dict[str, Any], Any]:
    """Returns the types of one call of a batched function."""
    for parameter in defaults:
        raise DeclarationError(
            f"@edge_function {name}: {parameter!r} has a default, but with batch= each call of a "
            "batch brings its own; annotate it as list[... | None], or leave batch= out"
        )
    items = {}
    for parameter, annotation in inputs.items():
        item = item_of(annotation)
        if item is None:
            raise DeclarationError(
                f"@edge_function {name}: with batch= it gets a list for each parameter; annotate "
                f"{parameter!r} as list[...], or leave batch= out"
            )
        items[parameter] = item
    item = item_of(answer)
    if item is None:
        raise DeclarationError(
            f"@edge_function {name}: with batch= it returns a list with one answer a call; "
            "annotate it as -> list[...], or leave batch= out"
        )
    if not items:
        raise DeclarationError(f"@edge_function {name}: batch= without a parameter to batch")
    return items, item


def _defaults(call: Callable[..., Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(call).parameters
    return {
        name: parameters[name].default
        for name in inputs
        if parameters[name].default is not inspect.Parameter.empty
    }


def _first_paragraph(wrapped: Callable[..., Any]) -> str:
    return " ".join((inspect.cleandoc(wrapped.__doc__ or "")).split("\n\n")[0].split())


def _folder_of(wrapped: Callable[..., Any]) -> Path:
    """Returns the folder of the declaring file; in a notebook, the working directory."""
    try:
        file = Path(inspect.getfile(wrapped))
    except (OSError, TypeError):
        return Path.cwd()
    return file.parent.resolve() if file.is_file() else Path.cwd()
