"""`edgefn init`."""

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from edgefn.cli import options, output
from edgefn.errors import ConfigError
from edgefn_runtime.manifest import NAME_PATTERN

TEMPLATE: Final = Path(__file__).parent / "template"
_PLACEHOLDER: Final = "my_function"


def command(
    folder: Annotated[Path, typer.Argument(metavar="NAME", help="Of the new folder.")],
    json: options.Json = False,
) -> None:
    """Starts a function."""
    name = re.sub(r"[^a-z0-9_]+", "_", folder.name.lower()).strip("_")
    if not re.fullmatch(NAME_PATTERN, name):
        raise ConfigError(
            f"{folder.name!r} cannot be a function's name: begin with a letter, as in hello"
        )
    if folder.exists():
        raise ConfigError(f"{folder} exists; name a folder that does not")
    written = []
    for source in sorted(TEMPLATE.rglob("*")):
        if source.is_file() and source.suffix != ".pyc":
            target = folder / source.relative_to(TEMPLATE)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(source.read_text().replace(_PLACEHOLDER, name))
            written.append(str(target))
    if json:
        output.print_json({"function": name, "files": written})
        return
    for path in written:
        output.out.print(output.plain(path))
    output.note(f"\nserve it:  edgefn dev {folder}")
    output.note(f"call it:   edgefn call {name} @{folder}/samples/usual.json")
