"""A function's annotations as a schema: what is checked, and what others are shown.

Everything is one pydantic schema: builtins, pydantic models, and `Tensor`, `Image` and `Audio`,
which bring their own (`edgefn_runtime.tensors`, `edgefn_runtime.media`).
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, NotRequired, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticSerializationError
from typing_extensions import TypedDict  # before 3.12 pydantic refuses that of typing

from edgefn.errors import DeclarationError, FunctionFailed, InvalidInput
from edgefn_runtime.manifest import FunctionSchema, V2Tensor
from edgefn_runtime.media import media_types_of
from edgefn_runtime.model import Model
from edgefn_runtime.servable import Field
from edgefn_runtime.tensors import V2_DATATYPES, TensorType

_SCALARS: Final = {"integer": "INT64", "number": "FP64", "boolean": "BOOL"}


class Signature:
    """The inputs and outputs of one declared function; see `edgefn_runtime.servable.Signature`.

    Attributes:
        name: Of the function.
        media_field: The parameter whose bytes alone are a whole call, or an empty string.
    """

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, Any],
        defaults: Mapping[str, Any],
        answer: Any,
    ) -> None:
        self.name = name
        self._defaults = dict(defaults)
        self._inputs = _adapter(name, "its parameters", _inputs_type(parameters, defaults))
        self._answer = _adapter(name, "what it returns", answer)
        self._free_tensors = _free_tensors(parameters)
        self.media_field, self._media_types = _media(parameters, defaults)

    # What follows needs the JSON schemas, which take pydantic several ms to make: most replicas
    # start, and answer, without.

    @functools.cached_property
    def _json_schemas(self) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            inputs = self._inputs.json_schema()
            answer = self._answer.json_schema(mode="serialization")
        except PydanticUserError as error:
            raise DeclarationError(
                f"@edge_function {self.name}: a type in it has no JSON form, so nobody could call "
                f"it: {str(error).splitlines()[0]}"
            ) from error
        for parameter, value in self._defaults.items():
            inputs["properties"][parameter]["default"] = _plain(value)
        inputs["title"] = f"{self.name} inputs"
        return inputs, answer

    @functools.cached_property
    def inputs(self) -> tuple[Field, ...]:
        """One field a parameter."""
        return _fields(self._json_schemas[0])

    @functools.cached_property
    def answers_object(self) -> bool:
        """Whether an answer's payload is a dict with one entry an output."""
        answer = _resolve(self._json_schemas[1], self._json_schemas[1])
        return answer.get("type") == "object" and "properties" in answer

    @functools.cached_property
    def outputs(self) -> tuple[Field, ...]:
        """One field a property of an answer that is an object; else one, named `result`."""
        answer = self._json_schemas[1]
        return _fields(answer) if self.answers_object else (_field("result", answer, answer),)

    @functools.cached_property
    def described(self) -> FunctionSchema:
        """The schema, for those who never see the Python code."""
        return FunctionSchema(
            input=self._json_schemas[0],
            output=self._json_schemas[1],
            v2_inputs=tuple(field.v2 for field in self.inputs),
            v2_outputs=tuple(field.v2 for field in self.outputs),
            media_types=self._media_types,
        )

    def bind(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Checks a decoded payload and returns the arguments of one call.

        Raises:
            InvalidInput: A field is missing, unknown, or does not fit; the message names its path.
        """
        try:
            values: dict[str, Any] = self._inputs.validate_python(fields)
        except ValidationError as error:
            raise _invalid_input(error) from error
        if self._free_tensors:
            self._check_dimensions(values)
        return {**self._defaults, **values} if self._defaults else values

    def dump(self, result: Any) -> Any:
        """Checks one answer and returns it as builtins and arrays.

        Raises:
            FunctionFailed: It is not what the function's annotation promises.
        """
        try:
            return self._answer.dump_python(self._answer.validate_python(result))
        except (ValidationError, PydanticSerializationError) as error:
            what = "; ".join(_lines(error)) if isinstance(error, ValidationError) else str(error)
            raise FunctionFailed(
                f"{self.name} returned what its annotation does not promise: {what}"
            ) from error

    def _check_dimensions(self, values: Mapping[str, Any]) -> None:
        lengths: dict[str, tuple[int, str]] = {}
        for parameter, tensor in self._free_tensors.items():
            if parameter not in values:
                continue
            for dimension, length in tensor.named_dimensions(values[parameter]).items():
                known, where = lengths.setdefault(dimension, (length, parameter))
                if known != length:
                    raise InvalidInput(
                        f"{parameter}: dimension {dimension!r} is {length}, but {known} in {where}",
                        path=parameter,
                    )


def _inputs_type(parameters: Mapping[str, Any], defaults: Mapping[str, Any]) -> Any:
    fields: dict[str, Any] = {
        parameter: NotRequired[annotation] if parameter in defaults else annotation
        for parameter, annotation in parameters.items()
    }
    # Under another name, because to a type checker `TypedDict` is syntax and not a call.
    make: Any = TypedDict
    inputs = make("inputs", fields)
    inputs.__pydantic_config__ = ConfigDict(extra="forbid")
    return inputs


def _adapter(name: str, what: str, annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        reason = str(error).splitlines()[0]
        raise DeclarationError(
            f"@edge_function {name}: {what} cannot be made into a schema: {reason}. "
            "Write builtins, pydantic models, Tensor[...], Image or Audio."
        ) from error


def _invalid_input(error: ValidationError) -> InvalidInput:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    lines = _lines(error)
    more = f" (and {len(lines) - 3} more)" if len(lines) > 3 else ""
    return InvalidInput("; ".join(lines[:3]) + more, path=_path(first["loc"]))


def _lines(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [_line(item["loc"], item["type"], item["msg"]) for item in found]


def _line(location: tuple[int | str, ...], kind: str, message: str) -> str:
    path = _path(location)
    if kind == "missing":
        return f"{path}: missing"
    if kind == "extra_forbidden":
        return f"{path}: unknown field"
    return f"{path}: {message}" if location else message


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path[:200] or "$"


def _fields(schema: dict[str, Any]) -> tuple[Field, ...]:
    properties = _resolve(schema, schema).get("properties", {})
    return tuple(_field(name, part, schema) for name, part in properties.items())


def _field(name: str, part: dict[str, Any], whole: dict[str, Any]) -> Field:
    part = _resolve(part, whole)
    tensor = part.get("x-edgefn-tensor")
    if tensor:
        kind = TensorType(tensor["dtype"], tuple(tensor["shape"]))
        return Field(name, "tensor", V2Tensor(name, V2_DATATYPES[kind.dtype], kind.v2_shape()))
    if "x-edgefn-media" in part:
        return Field(name, "media", V2Tensor(name, "BYTES", (1,)))
    if part.get("type") in _SCALARS:
        return Field(name, "scalar", V2Tensor(name, _SCALARS[part["type"]], (1,)))
    if part.get("type") == "string":
        return Field(name, "text", V2Tensor(name, "BYTES", (1,)))
    return Field(name, "json", V2Tensor(name, "BYTES", (1,)))


def _resolve(part: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref", "")
    definition = whole.get("$defs", {}).get(reference.removeprefix("#/$defs/"))
    return definition if definition is not None else part


def _media(
    parameters: Mapping[str, Any], defaults: Mapping[str, Any]
) -> tuple[str, tuple[str, ...]]:
    """Returns the one image or sound that is all the function needs, and its content types."""
    types = {name: media_types_of(annotation) for name, annotation in parameters.items()}
    media = [name for name, content_types in types.items() if content_types]
    if len(media) != 1 or parameters.keys() - defaults.keys() - set(media):
        return "", ()
    return media[0], types[media[0]]


def _free_tensors(parameters: Mapping[str, Any]) -> dict[str, TensorType]:
    """Returns the parameters whose free dimensions must agree: none if there is only one."""
    found = {}
    for parameter, annotation in parameters.items():
        for part in get_args(annotation):
            if isinstance(part, TensorType) and -1 in part.v2_shape():
                found[parameter] = part
    return found if len(found) > 1 else {}


def _plain(value: Any) -> Any:
    return TypeAdapter(Any).dump_python(value, mode="json")


def is_model(annotation: Any) -> bool:
    """Whether a parameter with this annotation is to be given a model."""
    return isinstance(annotation, type) and issubclass(annotation, Model)


def item_of(annotation: Any) -> Any:
    """Returns T of `list[T]`, or None if the annotation is no list."""
    arguments = get_args(annotation)
    return arguments[0] if get_origin(annotation) is list and arguments else None


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Returns a function's annotations with strings evaluated, `return` included.

    Raises:
        NameError: An annotation names what its module does not have.
    """
    return inspect.get_annotations(function, eval_str=True)
