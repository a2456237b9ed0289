"""What the tests of operators' files share: our own program, asked whether it takes a command."""

from collections.abc import Callable
from typing import Any

import pytest
import typer

from edgefn.cli.program import app

UsageError: Any = typer.BadParameter.__base__  # of the click that typer brings


@pytest.fixture(scope="session")
def refusal() -> Callable[[list[str]], str]:
    """Returns a function that says why our program refuses arguments; empty if it takes them."""
    return _refusal


def _refusal(arguments: list[str]) -> str:
    command: Any = typer.main.get_command(app)
    name = "edgefn"
    try:
        while arguments and hasattr(command, "resolve_command"):  # it has commands of its own
            context = command.make_context(name, arguments)
            name, command, arguments = command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
        if arguments:  # a verb alone is a mention of it
            command.make_context(name, arguments)
    except UsageError as error:
        return str(error.format_message())
    return ""
