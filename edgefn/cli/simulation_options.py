"""Options that `edgefn simulate` and `edgefn plan` share, and where they put their files."""

from pathlib import Path
from typing import Annotated

import typer

from edgefn.cli import output
from edgefn.compress.recipe import ExtraMissing
from edgefn.errors import ConfigError

File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="A scenario; see examples/scenarios.", show_default=False),
]
Load = Annotated[float, typer.Option(min=0.001, metavar="N", help="Play the load N times as high.")]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="First seed of all random numbers.")]
Seeds = Annotated[
    int, typer.Option(min=1, metavar="N", help="Run with N seeds, for means with intervals.")
]
Folder = Annotated[
    Path | None,
    typer.Option("--output", metavar="FOLDER", help="Write the results and pictures there."),
]


class Files:
    """Files that a command leaves in a folder."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder.

        Raises:
            ConfigError: It cannot be made.
        """
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--output: cannot make {folder}: {error.strerror}") from error

    def write(self, name: str, content: bytes) -> None:
        """Writes one, and says so."""
        path = self._folder / name
        path.write_bytes(content)
        output.note(output.plain(f"wrote {path}"))

    def skip_pictures(self, error: ExtraMissing) -> None:
        """Says why there are none."""
        output.note(output.plain(error.message))
