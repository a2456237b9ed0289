"""Fitted scikit-learn estimators and pipelines, by skl2onnx."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from edgefn.compress.errors import ExportFailed
from edgefn.compress.graphs import onnx_model
from edgefn.compress.graphs.scaler import without_scalers
from edgefn.compress.recipe import RecipeFailed
from edgefn.compress.tools import calling

Array = np.ndarray[Any, Any]

_OPSETS: Final = {"": 18, "ai.onnx.ml": 3}


def export(model: Any, examples: Sequence[Array]) -> bytes:
    """Returns the estimator as an ONNX model; a classifier gives labels and probabilities.

    Raises:
        ExportFailed: It is not fitted, takes more than one array, or has no converter.
    """
    from sklearn.base import is_classifier
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if len(examples) != 1:
        raise ExportFailed(f"an estimator takes one array of rows, not {len(examples)}")
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise ExportFailed(f"this {type(model).__name__} is not fitted yet: call fit") from error
    try:
        with calling("skl2onnx"):
            import skl2onnx

            # Without it probabilities are a list of dictionaries, which no tensor can hold.
            options = {id(model): {"zipmap": False}} if is_classifier(model) else None
            exported = skl2onnx.to_onnx(
                model, _float32(examples[0][:1]), options=options, target_opset=_OPSETS
            )
            without_scalers(exported)
            return onnx_model.save(exported)
    except RecipeFailed as error:
        raise ExportFailed(
            f"skl2onnx cannot export {type(model).__name__}: {error.message}"
        ) from error


def answers_of(model: Any) -> Callable[[Sequence[Array]], list[Array]]:
    """Returns what answers as the estimator does, as far as its export gives the same."""

    def answer(arrays: Sequence[Array]) -> list[Array]:
        rows = _float32(arrays[0])
        if not hasattr(model, "predict"):
            return [np.asarray(model.transform(rows), np.float32)]
        found = np.asarray(model.predict(rows))
        if np.issubdtype(found.dtype, np.floating):
            return [found.astype(np.float32)]
        answers = [
            found.astype(np.int64)
            if np.issubdtype(found.dtype, np.integer)
            else found.astype(object)
        ]
        if hasattr(model, "predict_proba"):
            answers.append(np.asarray(model.predict_proba(rows), np.float32))
        return answers

    return answer


def _float32(array: Array) -> Array:
    return array.astype(np.float32)
