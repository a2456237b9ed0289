"""The program: which verbs there are, and what becomes of what they raise.

Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 conflict, 130 ended with Ctrl-C.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from edgefn.cli.verbs import GROUPS, VERBS, examples_of

FAILED: Final = 1
USAGE: Final = 2
CONFLICT: Final = 3
INTERRUPTED: Final = 130
_EXIT_CODES: Final = {"invalid_config": USAGE, "conflict": CONFLICT}
_WIDEST: Final = max(map(len, VERBS))


class _Commands(Mapping[str, Any]):
    """Verb to command. A verb's module, and all that it needs, is imported when it is used."""

    def __getitem__(self, verb: str) -> Any:
        if verb not in VERBS:
            raise KeyError(verb)
        module = importlib.import_module(f"edgefn.cli.{verb}")
        if isinstance(module.command, typer.Typer):  # it has verbs of its own
            group = typer.main.get_command(module.command)
            group.help, group.epilog = VERBS[verb], examples_of(verb)
            return group
        single = typer.Typer(
            add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
        )
        single.command(verb, help=VERBS[verb], epilog=examples_of(verb))(module.command)
        return typer.main.get_command(single)

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


class _Verbs(TyperGroup):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Any = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for group, verbs in GROUPS.items():
            with formatter.section(group):
                formatter.write_dl([(verb.ljust(_WIDEST), line) for verb, line in verbs.items()])


# Without rich in the help: it alone would take longer than everything else.
app = typer.Typer(
    cls=_Verbs,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from edgefn import __version__

        typer.echo(f"edgefn {__version__}{' (compiled)' if _compiled() else ''}")
        raise typer.Exit


def _compiled() -> bool:
    """Whether this is a wheel that was built with EDGEFN_COMPILE=1."""
    router = importlib.util.find_spec("edgefn.routing.router")
    return router is not None and router.origin is not None and not router.origin.endswith(".py")


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error in edgefn.")
    ] = False,
) -> None:
    """Serverless inference at the edge.

    Write a function, decorate it, deploy it to a box, call it:

    \b
      edgefn init hello && edgefn dev hello
      edgefn call hello @hello/samples/usual.json
    """


def run() -> None:
    """Runs the command that `sys.argv` names, and ends the process with its exit code."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        # The one broad except of the command line: users see sentences, not tracebacks.
        sys.exit(_report(error, debug="--debug" in sys.argv[1:2]))


def _report(error: Exception, *, debug: bool) -> int:
    from edgefn.cli.failure import print_failure
    from edgefn.errors import EdgefnError

    if debug:
        raise error
    print_failure(error)
    return _EXIT_CODES.get(error.code, FAILED) if isinstance(error, EdgefnError) else FAILED
