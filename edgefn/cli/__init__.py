"""The command line: one thin file a verb."""


def main() -> None:
    """Runs the command line, and ends the process with its exit code."""
    from edgefn.cli.program import run  # not before it is called: boxes import this package, too

    run()
