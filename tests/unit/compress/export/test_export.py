"""Scikit-learn estimators become ONNX models, and what is neither is refused."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edgefn.compress.errors import ExportFailed
from edgefn.compress.export.to_onnx import resized, to_onnx
from edgefn.compress.graphs import onnx_model

ROWS, LABELS = load_iris(return_X_y=True)
ROWS = ROWS.astype(np.float32)


@pytest.mark.parametrize("names", [None, np.array(["setosa", "versicolor", "virginica"])])
def test_a_classifier(names):
    """A pipeline gives labels, numbers or words, and probabilities as a tensor."""
    labels = LABELS if names is None else names[LABELS]
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, labels)
    data = to_onnx(fitted, [ROWS])
    found = onnx_model.answers(data, {"X": ROWS})
    assert (found[0] == fitted.predict(ROWS)).all()
    assert np.abs(found[1] - fitted.predict_proba(ROWS)).max() < 1e-5
    assert "Scaler" not in onnx_model.op_counts(onnx_model.load(data))


@pytest.mark.parametrize(
    "fitted",
    [
        LinearRegression().fit(ROWS, LABELS),
        StandardScaler().fit(ROWS),
        RandomForestClassifier(3, random_state=0).fit(ROWS, LABELS),
    ],
)
def test_other_estimators(fitted):
    """Regression, transformation and trees, for any number of rows."""
    model = onnx_model.load(to_onnx(fitted, [ROWS[:1]]))
    assert onnx_model.has_free_batch(model)
    domains = [entry.domain for entry in model.opset_import]
    assert len(set(domains)) == len(domains)


def test_what_cannot_be_exported_is_said():
    """By the name of its type, and with what to do where there is something to do."""
    boosted = HistGradientBoostingClassifier(max_iter=2).fit(ROWS, LABELS)
    with pytest.raises(ExportFailed, match="skl2onnx cannot export HistGradientBoosting"):
        to_onnx(boosted, [ROWS])
    with pytest.raises(ExportFailed, match="LogisticRegression is not fitted yet: call fit"):
        to_onnx(LogisticRegression(), [ROWS])
    with pytest.raises(ExportFailed, match="a dict cannot be exported: give a torch.nn.Module"):
        to_onnx({}, [ROWS])
    with pytest.raises(ExportFailed, match="one array an input, of one row or more"):
        to_onnx(boosted, [])


def test_an_export_that_answers_otherwise_is_refused(monkeypatch):
    """The result is compared by value with what it was made of."""
    fitted = LinearRegression().fit(ROWS, LABELS)
    other = LinearRegression().fit(ROWS, LABELS[::-1])
    monkeypatch.setattr(fitted, "predict", other.predict, raising=False)
    with pytest.raises(ExportFailed, match=r"answers otherwise on 1 rows: output 0 .*of its norm"):
        to_onnx(fitted, [ROWS])


def test_rows_are_repeated_from_the_start():
    """Any number of rows can be made of a few."""
    assert resized(np.array([[1], [2]]), 5).ravel().tolist() == [1, 2, 1, 2, 1]
