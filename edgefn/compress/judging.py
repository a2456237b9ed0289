"""Evaluates variants, each once: what was found is kept by model, data and code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from edgefn.compress.cache import Cache, key_of
from edgefn.compress.evaluation import Evaluator
from edgefn.compress.exchange import Evaluated
from edgefn.compress.made_with import versions
from edgefn.compress.recipe import Source
from edgefn.compress.scores import Evaluation
from edgefn.compress.task import Task

_EVALUATED_WITH: Final = ("edgefn", "numpy", "onnxruntime", "ai-edge-litert")


class Judge:
    """Evaluates variants of one function on one set of data.

    Args:
        evaluator: That runs the function.
        cache: Of earlier builds.
        key: Of all that an evaluation depends on beside the variant: code, options, data, models as
            given, versions.
    """

    def __init__(self, evaluator: Evaluator, cache: Cache, key: str) -> None:
        self._evaluator = evaluator
        self._cache = cache
        self._key = key

    def evaluate(self, models: Mapping[str, Path]) -> Evaluation:
        """Returns what is found of a variant.

        Args:
            models: Its files, by parameter.

        Raises:
            EvaluationFailed: The function does not work with it.
            InvalidData: The function's data, labels or metric are at fault.
        """
        contents = [part for name in sorted(models) for part in (name, models[name].read_bytes())]
        key = key_of("evaluated", self._key, *contents)
        if (kept := self._cache.get(key)) is not None:
            return _decode(kept)
        found = self._evaluator.evaluate(models)
        self._cache.put(key, _encode(found))
        return found


def key_of_judging(task: Task, sources: Mapping[str, Source], data_digest: str) -> str:
    """Returns a key of all that an evaluation depends on, the variant apart."""
    found = versions()
    return key_of(
        task.code_digest,
        task.declared.attribute,
        msgspec.json.encode(task.declared.options),
        data_digest,
        *(source.data for source in sources.values()),
        *(f"{name} {found.get(name, '')}" for name in _EVALUATED_WITH),
    )


def _encode(found: Evaluation) -> bytes:
    plain = Evaluated(
        scores=None if found.scores is None else [float(score) for score in found.scores],
        agreement=None if found.agreement is None else [bool(equal) for equal in found.agreement],
        snr_db=found.snr_db,
    )
    return msgspec.msgpack.encode(plain)


def _decode(encoded: bytes) -> Evaluation:
    plain = msgspec.msgpack.decode(encoded, type=Evaluated)
    return Evaluation(
        scores=None if plain.scores is None else np.array(plain.scores, np.float64),
        agreement=None if plain.agreement is None else np.array(plain.agreement, np.bool_),
        snr_db=plain.snr_db,
    )
