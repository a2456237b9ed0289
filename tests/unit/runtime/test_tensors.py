"""Arrays with a declared dtype and shape."""

import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pydantic import TypeAdapter, ValidationError

from edgefn_runtime.codecs import tensor_map
from edgefn_runtime.tensors import DTYPES, Tensor, TensorType

FLOAT30 = TypeAdapter[Any](Tensor["float32", 30])


def refusal(adapter: TypeAdapter[Any], value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    return str(caught.value.errors()[0]["msg"])


@given(
    st.sampled_from(sorted(DTYPES)).flatmap(
        lambda name: npst.arrays(DTYPES[name], npst.array_shapes(max_dims=4, max_side=4))
    )
)
def test_a_typed_tensor_survives_the_body(array: np.ndarray[Any, Any]) -> None:
    """Any dtype and shape, NaN and infinities included, comes back bit for bit."""
    adapter = TypeAdapter[Any](Tensor[(array.dtype.name, *array.shape)])
    decoded = adapter.validate_python(tensor_map(array))
    assert decoded.dtype == array.dtype
    assert decoded.tobytes() == array.tobytes()
    assert decoded.shape == array.shape


@given(
    st.sampled_from(["int8", "uint16", "int64", "float32", "float64", "bool"]).flatmap(
        lambda name: npst.arrays(
            DTYPES[name],
            npst.array_shapes(max_dims=3, max_side=4),
            elements=({"allow_nan": False, "allow_infinity": False} if "float" in name else None),
        )
    )
)
def test_nested_lists_become_the_declared_dtype(array: np.ndarray[Any, Any]) -> None:
    """What `tolist` makes of an array is taken back without loss."""
    adapter = TypeAdapter[Any](Tensor[(array.dtype.name, *array.shape)])
    decoded = adapter.validate_python(array.tolist())
    assert decoded.dtype == array.dtype
    np.testing.assert_array_equal(decoded, array)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0, 2.0], "expected float32 [30], got float32 [2]"),
        ([[0.0] * 30], "expected float32 [30], got float32 [1, 30]"),
        (["a"] * 30, "expected numbers of float32, got 'a'"),
        ([None] * 30, "expected numbers of float32, got None"),
        ([True] * 30, "expected float32, got booleans"),
        ([1e300] * 30, "a number is too large for float32"),
        ([2**70] * 30, "expected numbers of float32, got one beyond 64 bits"),
        ([[1], [1, 2]], "its lists have different lengths"),
        (None, "expected float32 [30], got NoneType"),
        ("abc", "expected float32 [30], got str"),
        (np.zeros(30), "expected float32 [30], got float64 [30]"),
        ({"dtype": "float32"}, "not a typed tensor {dtype, shape, data}"),
        ({"dtype": "object", "shape": [1], "data": b""}, "unknown dtype 'object'"),
        ({"dtype": "(1000000,1000000)f4", "shape": [1], "data": b""}, "unknown dtype"),
        ({"dtype": "float32", "shape": [30], "data": bytes(119)}, "takes 120 bytes, but 119 came"),
        ({"dtype": "float32", "shape": [2**30, 8], "data": b""}, "but 0 came"),
        ({"dtype": "float32", "shape": [2**62], "data": b""}, "not a typed tensor"),
        ([0.0] * 29 + ["x" * 10_000], "expected numbers of float32, got 'xxxx"),
        ({"dtype": "float32", "shape": [-1], "data": b""}, "not a typed tensor"),
        ({"dtype": "float32", "shape": [True], "data": b""}, "not a typed tensor"),
        ({"dtype": "float32", "shape": [1.5], "data": b""}, "not a typed tensor"),
        (
            {"dtype": "float32", "shape": [1] * 9, "data": bytes(4)},
            "Expected `array` of length <= 8",
        ),
        ({"dtype": "float32", "shape": [30], "data": "%%"}, "its data are not base64"),
        ({"dtype": "float32", "shape": [30], "data": 3}, "neither bytes nor a list, but int"),
        ({"dtype": "float32", "shape": [30], "data": [1, 2]}, "takes 30 numbers, but 2 came"),
        ({"dtype": "float64", "shape": [30], "data": bytes(240)}, "got float64 [30]"),
    ],
)
def test_what_does_not_fit_is_named(value: Any, message: str) -> None:
    """The message says what was expected and what came."""
    assert message in refusal(FLOAT30, value)


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("uint8", [256], "256 does not fit uint8"),
        ("int8", [-129], "-129 does not fit int8"),
        ("int32", [1.5], "expected whole numbers of int32, got a fraction"),
        ("bool", [1], "expected bool, got numbers"),
    ],
)
def test_numbers_are_not_bent_to_fit(dtype: str, value: list[Any], message: str) -> None:
    """Nothing wraps around, is cut, or changes its kind."""
    assert message in refusal(TypeAdapter[Any](Tensor[dtype, 1]), value)


def test_json_spellings_of_a_typed_tensor_are_equal() -> None:
    """Base64 and a flat list mean the same array."""
    array = np.arange(6, dtype="float32").reshape(2, 3)
    adapter = TypeAdapter[Any](Tensor["float32", 2, 3])
    typed = {"dtype": "float32", "shape": [2, 3]}
    for data in (base64.b64encode(array.tobytes()).decode(), array.reshape(-1).tolist()):
        np.testing.assert_array_equal(adapter.validate_python({**typed, "data": data}), array)


def test_a_free_dimension_takes_any_length_but_one() -> None:
    """The same name means the same number."""
    square = TypeAdapter[Any](Tensor["float32", "n", "n"])
    assert square.validate_python(np.zeros((3, 3), "float32")).shape == (3, 3)
    assert "got float32 [3, 4]" in refusal(square, np.zeros((3, 4), "float32"))


def test_a_tensor_without_dimensions_is_one_number() -> None:
    """A scalar tensor takes a bare number."""
    assert TypeAdapter[Any](Tensor["float32"]).validate_python(2.5).shape == ()


def test_decoded_arrays_share_the_bytes_of_the_body() -> None:
    """No copy is made, so nobody can write into it."""
    decoded = FLOAT30.validate_python(tensor_map(np.zeros(30, "float32")))
    assert not decoded.flags.writeable


def test_numpy_types_are_taken_as_dtypes() -> None:
    """`Tensor[np.uint8, ...]` is the same as `Tensor["uint8", ...]`."""
    assert Tensor[np.uint8, 3].__metadata__ == (TensorType("uint8", (3,)),)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (("float31", 3), "unknown dtype; write one of bool"),
        (("float32", 0), "a dimension is a positive number"),
        (("float32", True), "a dimension is a positive number"),
        (("float32", "a b"), "or a name where it is free"),
        ((object(), 3), "unknown dtype"),
        (("float32", *[1] * 9), "at most 8"),
    ],
)
def test_a_wrong_annotation_says_what_to_write(parameters: Any, message: str) -> None:
    """Mistakes are found when the annotation is read."""
    with pytest.raises(TypeError, match=message):
        Tensor[parameters]


def test_the_json_schema_bounds_lists_and_numbers() -> None:
    """Those who only see the schema know lengths and limits."""
    schema = TypeAdapter[Any](Tensor["uint8", "n", 3]).json_schema()
    assert schema["x-edgefn-tensor"] == {"dtype": "uint8", "shape": ["n", 3]}
    assert "minItems" not in schema
    assert schema["items"]["minItems"] == schema["items"]["maxItems"] == 3
    assert schema["items"]["items"] == {"type": "integer", "minimum": 0, "maximum": 255}
