"""What of a traceback reaches the log."""

from edgefn_runtime.tracebacks import MAX_TRACEBACK_CHARS, traceback_of


def raised(source: str, file_name: str) -> BaseException:
    """Returns what a file with this source raises when it is run."""
    try:
        exec(compile(source, file_name, "exec"), {})
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_starts_at_the_users_code():
    """Frames of those who called the user's code are left out; those below it are kept."""
    error = raised("import json\njson.loads('{')", "/bundle/function.py")
    text = traceback_of(error, "/bundle")
    assert text.splitlines()[1].startswith('  File "/bundle/function.py", line 2')
    assert "decoder.py" in text
    assert "test_tracebacks" not in text


def test_an_error_outside_of_the_users_code_has_no_frames():
    """If no frame is the user's, what was raised is still said."""
    assert traceback_of(raised("1/0", "/elsewhere.py"), "/bundle") == (
        "ZeroDivisionError: division by zero\n"
    )


def test_keeps_the_end_of_what_is_too_long():
    """A traceback is bounded, and it is the cause that is kept."""
    text = traceback_of(
        raised("raise ValueError('x' * 99999 + 'cause')", "/bundle/f.py"), "/bundle"
    )
    assert len(text) <= MAX_TRACEBACK_CHARS + 4
    assert text.endswith("cause\n")
