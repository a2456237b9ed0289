"""The table of paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.gateway.errors import MethodNotAllowed, NotFound
from edgefn.gateway.routes import ROUTES, resolve

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")
PATHS = sorted({path for _, path, *_ in ROUTES})


def filled(path: str) -> str:
    return (
        path.replace("{name}", "echo")
        .replace("{version}", "3")
        .replace("{sha256}", "ab")
        .replace("{id}", "k")
    )


@pytest.mark.parametrize("path", PATHS)
def test_each_path_has_its_methods_and_no_others(path):
    """What the table lists is found; every other method is refused with what is allowed."""
    handlers = {route.method: route for route in ROUTES if route.path == path}
    if "GET" in handlers:
        handlers["HEAD"] = handlers["GET"]
    for method in METHODS:
        if method in handlers:
            assert resolve(method, filled(path) + "?a=b")[0] is handlers[method]
        else:
            with pytest.raises(MethodNotAllowed) as refused:
                resolve(method, filled(path))
            assert refused.value.detail["allow"] == sorted(handlers)


def test_parameters_are_decoded_and_in_order():
    """The values of a path's parameters come percent-decoded, as they stand in the path."""
    _, parameters = resolve("GET", "/v2/models/a%2Fb/versions/3/ready")
    assert parameters == ("a/b", "3")


@pytest.mark.parametrize("path", PATHS)
def test_what_is_near_a_path_is_not_there(path):
    """Slashes too many, or a segment more or less, name nothing."""
    for wrong in (filled(path) + "/", "/" + filled(path), filled(path).replace("/", "//")):
        with pytest.raises(NotFound):
            resolve("GET", wrong)


@given(st.text(max_size=40))
def test_any_target_is_found_or_refused(text):
    """No text breaks the table."""
    try:
        resolve("GET", "/" + text)
    except (NotFound, MethodNotAllowed) as refused:
        assert refused.message
