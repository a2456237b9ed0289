"""What the runtime asks of a function, so that it need not know how functions are declared."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol

import msgspec

from edgefn_runtime.manifest import FunctionSchema, FunctionSpec, V2Tensor
from edgefn_runtime.model import Model

# Fields of an answer that say from 0 to 1 how sure it is, where `escalate_below` asks; the first
# one counts.
CONFIDENCE_FIELDS: Final = ("confidence", "probability")

FieldKind = Literal["tensor", "scalar", "text", "media", "json"]


class Field(msgspec.Struct, frozen=True):
    """One parameter, or one part of an answer, as the codecs see it.

    Attributes:
        name: Of the parameter or property.
        kind: What stands for it in a payload: an array, one number or bool, a string, the bytes
            of an image or sound, or any JSON value.
        v2: The same as a tensor of the Open Inference Protocol.
    """

    name: str
    kind: FieldKind
    v2: V2Tensor


class Signature(Protocol):
    """The inputs and outputs of one function."""

    @property
    def name(self) -> str:
        """Of the function."""

    @property
    def described(self) -> FunctionSchema:
        """The same for those who never see the Python code."""

    @property
    def media_field(self) -> str:
        """The parameter whose bytes alone are a whole call, or an empty string."""

    @property
    def inputs(self) -> tuple[Field, ...]:
        """One a parameter, injected models left out."""

    @property
    def outputs(self) -> tuple[Field, ...]:
        """One a property of an answer that is an object; else one, named `result`."""

    @property
    def answers_object(self) -> bool:
        """Whether an answer's payload is a dict with one entry an output."""

    def bind(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Checks a decoded payload and returns the arguments of one call.

        Raises:
            InvalidInput: A field is missing, unknown, or does not fit; the message names its path.
        """

    def dump(self, result: Any) -> Any:
        """Checks one answer and returns it as builtins and arrays.

        Raises:
            FunctionFailed: It is not what the function's annotation promises.
        """


class Servable(Protocol):
    """A declared function."""

    @property
    def spec(self) -> FunctionSpec:
        """What was declared."""

    @property
    def signature(self) -> Signature:
        """What goes in and out."""

    def prepare(self, models: Mapping[str, Model]) -> Callable[..., Any]:
        """Makes what a replica calls, with the models injected; for a class, an instance.

        A batched function (`spec.batch > 1`) takes a list for each parameter and returns a list.
        If `spec.is_async`, what is returned is a coroutine function.
        """
