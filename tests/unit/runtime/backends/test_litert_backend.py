"""TFLite models in LiteRT, and what is refused where only the old engine is there."""

import builtins
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgefn_runtime.backends import load_model
from edgefn_runtime.backends.tflite_file import Quantization, read_quantization
from edgefn_runtime.errors import LoadFailed
from edgefn_runtime.model import ModelRunFailed

X = np.float32([[1, 0, 0, 1]])
Y = np.float32([[5, -5]])


@pytest.mark.parametrize("weights", ["float", "dynamic", "weight_only"])
def test_runs(tflite_model, weights):
    """A model computes what it says, with its weights in floats or quantized."""
    model = load_model(tflite_model(weights), "m.tflite")
    assert [(info.name, info.dtype, info.shape) for info in model.inputs] == [
        ("in", "float32", (1, 4))
    ]
    np.testing.assert_allclose(model(X), Y, atol=0.1)


def test_quantized_activations_stay_quantized(tflite_model):
    """A fully quantized model takes and returns int8."""
    model = load_model(tflite_model("static"), "m.tflite")
    assert (model.inputs[0].dtype, model.outputs[0].dtype) == ("int8", "int8")
    np.testing.assert_array_equal(model(X.astype(np.int8)), Y.astype(np.int8))


def test_a_free_batch_is_resized(tflite_model):
    """A free dimension takes any size, changing from call to call."""
    model = load_model(tflite_model(free_batch=True), "m.tflite")
    assert isinstance(model.inputs[0].shape[0], str)
    for size in (1, 3, 3, 2):
        np.testing.assert_allclose(model(np.repeat(X, size, 0)), np.repeat(Y, size, 0))


@pytest.mark.parametrize("weights", ["float", "dynamic"])
def test_a_batch_of_one_takes_any_number_of_rows(tflite_model, weights):
    """A model made for one row is run once for each, and never resized."""
    model = load_model(tflite_model(weights), "m.tflite")
    rows = np.float32([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]])
    expected = np.concatenate([model(row[None]) for row in rows])
    for size in (3, 1, 0, 2):
        answer = model(rows[:size])
        assert (answer.shape, answer.dtype) == ((size, 2), np.float32)
        np.testing.assert_array_equal(answer, expected[:size])
    assert model.inputs[0].shape == (1, 4)


def test_names_are_those_of_the_signature(tflite_model):
    """A model with one signature is called by its names."""
    model = load_model(tflite_model(signature=True), "m.tflite")
    assert (model.inputs[0].name, model.outputs[0].name) == ("window", "scores")
    np.testing.assert_allclose(model(window=X), Y)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (X.astype(np.float64), "input 'in': expected float32, got float64"),
        (X[:, :3], r"input 'in': expected shape \[n, 4\], got \[1, 3\]"),
        (X[0], r"expected shape \[n, 4\], got \[4\]"),
    ],
)
def test_what_does_not_fit_is_named(tflite_model, array, said):
    """A wrong dtype or shape is refused by the input's name, and the next call is served."""
    model = load_model(tflite_model(), "m.tflite")
    with pytest.raises(ModelRunFailed, match=said):
        model(array)
    np.testing.assert_allclose(model(X), Y)


def test_read_only_arrays_are_taken(tflite_model):
    """Arrays that look into a caller's bytes need no copy by the function."""
    model = load_model(tflite_model(), "m.tflite")
    np.testing.assert_allclose(model(np.frombuffer(X.tobytes(), np.float32).reshape(1, 4)), Y)


@pytest.mark.parametrize(
    ("weights", "found"),
    [
        ("float", Quantization(hybrid=False, int4=False)),
        ("static", Quantization(hybrid=False, int4=False)),
        ("weight_only", Quantization(hybrid=False, int4=False)),
        ("dynamic", Quantization(hybrid=True, int4=False)),
        ("int4", Quantization(hybrid=True, int4=True)),
    ],
)
def test_finds_how_weights_are_kept(tflite_model, weights, found):
    """The file itself says whether an operator mixes float activations with small weights."""
    assert read_quantization(tflite_model(weights), "m.tflite") == found


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_broken_file_is_refused(tflite_model, data):
    """Whatever is cut off or overwritten, reading ends with an answer or a LoadFailed."""
    content = bytearray(tflite_model("dynamic"))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_quantization(bytes(content[: data.draw(st.integers(0, len(content)))]), "m.tflite")
    except LoadFailed as error:
        assert "broken TFLite file" in error.message


def test_garbage_is_refused():
    """Bytes that only pretend to be TFLite do not load."""
    with pytest.raises(LoadFailed, match="LiteRT refuses the model"):
        load_model(b"\x1c\x00\x00\x00TFL3" + bytes(64), "m.tflite")


class FakeOldInterpreter:
    """Counts as `tflite_runtime.interpreter.Interpreter`; takes what it is given."""

    def __init__(self, model_content, num_threads):
        assert num_threads == 1

    def allocate_tensors(self):
        pass

    def get_input_details(self):
        return []

    get_output_details = get_signature_list = get_input_details


@pytest.fixture
def without(monkeypatch):
    """Makes packages unimportable."""

    def block(*names):
        real = builtins.__import__

        def fake(name, *args, **kwargs):
            if name.split(".")[0] in names:
                raise ImportError(f"No module named {name!r}")
            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", fake)

    return block


@pytest.fixture
def old_engine(monkeypatch, without):
    """Leaves tflite-runtime as the only engine."""
    without("ai_edge_litert")
    module = type(sys)("tflite_runtime.interpreter")
    module.Interpreter = FakeOldInterpreter
    monkeypatch.setitem(sys.modules, "tflite_runtime", type(sys)("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", module)


@pytest.mark.parametrize("weights", ["float", "static", "weight_only"])
def test_the_old_engine_takes_what_it_computes_rightly(tflite_model, old_engine, weights):
    """Without LiteRT, tflite-runtime runs float and fully quantized models."""
    load_model(tflite_model(weights), "m.tflite")


@pytest.mark.parametrize(
    ("weights", "said"), [("dynamic", "dynamic-range int8 weights"), ("int4", "4-bit weights")]
)
def test_the_old_engine_gets_nothing_it_computes_wrongly(tflite_model, old_engine, weights, said):
    """Models of which tflite-runtime makes noise are refused, with the way out."""
    with pytest.raises(LoadFailed, match=said) as caught:
        load_model(tflite_model(weights), "m.tflite")
    assert "pip install 'edgefn[litert]'" in caught.value.message


def test_a_missing_engine_is_named(tflite_model, without):
    """Without any engine the message says which extra to install."""
    without("ai_edge_litert", "tflite_runtime")
    with pytest.raises(LoadFailed, match=r"pip install 'edgefn\[litert\]'"):
        load_model(tflite_model(), "m.tflite")
