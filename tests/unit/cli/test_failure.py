"""How errors look."""

import pytest

from edgefn.cli.failure import print_failure
from edgefn.errors import DeploymentFailed, EdgefnError

ON_THE_BOX = "/var/lib/box/revisions/" + "0a" * 32


def shown(capsys: pytest.CaptureFixture[str], error: Exception, subject: str = "") -> list[str]:
    print_failure(error, subject=subject)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_an_error_is_one_sentence_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """What it concerns comes first, unless the sentence begins with it; nothing is markup."""
    assert shown(capsys, EdgefnError("[bold]no[/bold]")) == ["error: [bold]no[/bold]"]
    assert shown(capsys, EdgefnError("no"), "voice") == ["error: voice: no"]
    assert shown(capsys, EdgefnError("voice: no"), "voice") == ["error: voice: no"]


def test_a_failed_deployment_shows_the_users_frames_and_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Paths are those of the user's folder, and the traceback comes once."""
    traceback = (
        f'Traceback (most recent call last):\n  File "{ON_THE_BOX}/function.py", line 3\nX: y'
    )
    log = ["loading", *traceback.splitlines(), "edgefn: replica r1: it did not start"]
    error = DeploymentFailed("voice does not start: X: y", traceback=traceback, log=log)
    assert shown(capsys, error, "voice") == [
        "error: voice does not start: X: y",
        "the function printed:",
        "  loading",
        "where it failed:",
        "  Traceback (most recent call last):",
        '    File "function.py", line 3',
        "  X: y",
    ]


def test_a_fault_of_edgefn_says_how_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, but the way to one."""
    lines = shown(capsys, KeyError("missing"))
    assert lines[0] == "error: KeyError: 'missing'"
    assert "edgefn --debug" in lines[1]
