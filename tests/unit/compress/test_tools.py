"""Calling other people's tools, and naming what is not installed."""

import logging
import sys
import threading
import warnings

import pytest

from edgefn.compress.recipe import RecipeFailed
from edgefn.compress.tools import calling, missing_extra, versions


def test_what_a_tool_prints_goes_to_the_log(capfd, caplog):
    """Neither output sees it, warnings are dropped, and logging stays as it was."""
    before = list(logging.getLogger().handlers)
    with caplog.at_level(logging.DEBUG), calling("a tool"):
        print("to stdout")
        print("to stderr", file=sys.stderr)
        warnings.warn("of no interest", DeprecationWarning, stacklevel=1)
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == ["a tool: to stdout", "a tool: to stderr"]
    assert logging.getLogger().handlers == before


def test_what_other_threads_print_meanwhile_is_seen(capsys):
    """A progress bar goes on while a tool is kept quiet."""
    with calling("a tool"):
        other = threading.Thread(target=print, args=["a bar"])
        other.start()
        other.join()
        print("of the tool")
    assert capsys.readouterr().out == "a bar\n"


def test_whatever_a_tool_raises_is_the_recipes_failure():
    """In one line, with the tool's name; what is that already passes unchanged."""
    with (
        pytest.raises(RecipeFailed, match=r"^a tool fails on this model: ValueError: dim two$"),
        calling("a tool"),
    ):
        raise ValueError("dim\n   two")
    with pytest.raises(RecipeFailed, match="^as it was$"), calling("a tool"):
        raise RecipeFailed("as it was")


def test_an_extra_is_named_where_a_module_is_missing():
    """One line says what to install; versions are told, also of what is not there."""
    assert missing_extra("compress", ["onnx", "numpy"]) == ""
    assert missing_extra("torch", ["onnx", "no_such_module"]) == (
        "needs the extra 'torch': pip install 'edgefn[torch]'"
    )
    assert versions(["no-such-package"]) == "no-such-package-none"
