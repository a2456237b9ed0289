"""`edgefn export`."""

from pathlib import Path
from typing import Annotated

import typer

from edgefn.cli import output
from edgefn.compress.export.exporter import export_model
from edgefn.compress.results.wording import size


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:NAME",
            help="A callable that returns a torch.nn.Module or fitted scikit-learn estimator.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUTPUT.onnx", help="File to be written.")],
    data: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Of the callable in the same file that returns example inputs."
        ),
    ] = "example_inputs",
) -> None:
    """Turns a model into an ONNX file that takes any number of rows, and checks its answers.

    The examples are an array, or a list or mapping of them, one an input of the model; their first
    dimension is the batch.
    """
    name, separator, attribute = source.rpartition(":")
    file = Path(name)
    if not separator or not attribute or file.suffix != ".py":
        raise typer.BadParameter(f"{source!r} is not like model.py:trained", param_hint="SOURCE")
    if not file.is_file():
        raise typer.BadParameter(f"there is no file {file}", param_hint="SOURCE")
    examples = data.rpartition(":")[2]
    with output.spinner(f"export {attribute}"):
        export_model(file, attribute, examples, out.resolve())
    output.out.print(output.plain(f"{out}: {size(out.stat().st_size)}"))
