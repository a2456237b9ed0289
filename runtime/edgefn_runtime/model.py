"""A loaded model, whatever backend runs it."""

from abc import ABC, abstractmethod
from typing import Any

import msgspec
import numpy as np

from edgefn_runtime.errors import EdgefnError


class TensorInfo(msgspec.Struct, frozen=True):
    """One input or output of a model. A dimension is a number, or a name where it is free."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class ModelRunFailed(EdgefnError):
    """The backend refused the arrays, or failed while it ran."""

    code = "function_failed"


class Model(ABC):
    """A loaded model: call it with arrays, get arrays.

    As a parameter's annotation it says: inject the function's model here.

    Attributes:
        inputs: In the order in which positional arrays are taken.
        outputs: In the order in which arrays are returned.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """Runs the model once.

        Args:
            *arrays: Inputs in the model's order; each is converted to the input's dtype only where
                no information is lost.
            **named: Inputs by name.

        Returns:
            One array if the model has one output, else a tuple of arrays.

        Raises:
            ModelRunFailed: Wrong number, name, dtype or shape, or the backend failed.
        """
        values = self._by_name(arrays, named) if named else arrays
        if len(values) != len(self.inputs):
            names = ", ".join(info.name for info in self.inputs)
            raise ModelRunFailed(
                f"the model takes {len(self.inputs)} inputs ({names}), not {len(values)}"
            )
        outputs = self.run([np.asarray(value) for value in values])
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    @abstractmethod
    def run(self, arrays: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """Runs the model on one array an input, in order."""

    def _by_name(self, arrays: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        names = [info.name for info in self.inputs]
        unknown = named.keys() - set(names[len(arrays) :])
        if unknown:
            raise ModelRunFailed(f"no input {sorted(unknown)[0]!r}; the model's inputs are {names}")
        missing = [name for name in names[len(arrays) :] if name not in named]
        if missing:
            raise ModelRunFailed(f"input {missing[0]!r} is missing; the model's inputs are {names}")
        return (*arrays, *(named[name] for name in names[len(arrays) :]))
