"""Evaluates variants, each once: what was found is kept by model, data and code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from edgefn.compress.cache import Cache, key_of
from edgefn.compress.evaluation.evaluator import Evaluator
from edgefn.compress.evaluation.result import Evaluation
from edgefn.compress.progress import OnShare
from edgefn.compress.recipe import Source
from edgefn.compress.task import Task
from edgefn.compress.tools import versions

_EVALUATED_WITH: Final = ("edgefn", "numpy", "onnxruntime", "ai-edge-litert")


class CachedEvaluator:
    """Evaluates variants of one function on one set of data.

    Args:
        evaluator: That runs the function.
        cache: Of earlier builds.
        key: Of all that an evaluation depends on beside the variant; see `key_of_evaluations`.
    """

    def __init__(self, evaluator: Evaluator, cache: Cache, key: str) -> None:
        self._evaluator = evaluator
        self._cache = cache
        self._key = key

    def evaluate(self, models: Mapping[str, Path], on_share: OnShare) -> Evaluation:
        """Returns what is found of a variant.

        Args:
            models: Its files, by parameter.
            on_share: Called with the share of the work that is done.

        Raises:
            EvaluationFailed: The function does not work with it.
            InvalidData: The function's data, labels or metric are at fault.
        """
        contents = [part for name in sorted(models) for part in (name, models[name].read_bytes())]
        key = key_of("evaluated", self._key, *contents)
        if (kept := self._cache.get(key)) is not None:
            return msgspec.msgpack.decode(kept, type=Evaluation)
        found = self._evaluator.evaluate(models, on_share)
        self._cache.put(key, msgspec.msgpack.encode(found))
        return found


def key_of_evaluations(task: Task, sources: Mapping[str, Source], data_digest: str) -> str:
    """Returns a key of all that an evaluation depends on, the variant apart.

    Args:
        task: Whose code and options decide.
        sources: The models as given, with whose answers those of variants are compared.
        data_digest: Of all rows and labels.
    """
    return key_of(
        task.code_digest,
        task.declared.attribute,
        msgspec.json.encode(task.declared.options),
        data_digest,
        *(source.data for source in sources.values()),
        versions(_EVALUATED_WITH),
    )
