"""`edgefn build`."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from edgefn.bundle.build import Bundle, build
from edgefn.bundle.build_lock import only_build_of
from edgefn.bundle.file import write_bundle
from edgefn.bundle.gather import BuildFailed
from edgefn.bundle.target import BUNDLE_SUFFIX, parse_target
from edgefn.cli import options, output
from edgefn.cli.failure import print_failure
from edgefn.cli.steps_shown import Bars, Lines, steps_of
from edgefn.cli.variant_table import explained_table, kept_table, rest_of
from edgefn.compress.build_variants import build_variants
from edgefn.compress.cache import Cache, default_folder
from edgefn.compress.device.machine import this_device
from edgefn.compress.device.profile import Goal, load_device
from edgefn.compress.outcome import Outcome
from edgefn.compress.results.made_with import MadeWith
from edgefn.compress.results.report import sentence
from edgefn.compress.results.wording import size
from edgefn.compress.task import ROWS, Means, Wishes
from edgefn.config import settings
from edgefn.errors import ConfigError, EdgefnError


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """One function that was built."""

    function: str
    bundle: str
    digest: str
    size_bytes: int
    variants: tuple[str, ...]
    tried: tuple[Outcome, ...] = ()
    judged_on: str = ""
    notes: tuple[str, ...] = ()


def _reference(value: str) -> str:
    name, separator, attribute = value.rpartition(":")
    if value and not (separator and attribute.isidentifier() and name.endswith(".py")):
        raise typer.BadParameter(f"{value!r} is not like evaluate.py:samples")
    return value


def _bundle_file(path: Path | None) -> Path | None:
    # Found now, and not after minutes; and no source file is written over.
    if path is not None and (path.suffix != BUNDLE_SUFFIX or path.is_dir()):
        raise typer.BadParameter(
            f"{path} is no name for a bundle; write one that ends in {BUNDLE_SUFFIX}"
        )
    return path


def command(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...",
            help="A folder with a function.py, or a .py file; with ::NAME for one function of it.",
        ),
    ],
    explain: Annotated[
        bool, typer.Option("--explain", help="Print all that was tried, and why it was left out.")
    ] = False,
    keep_all: Annotated[
        bool, typer.Option("--keep-all", help="Keep variants that another one dominates, too.")
    ] = False,
    data: Annotated[
        str,
        typer.Option(
            metavar="FILE.py:NAME",
            help="Judge on this instead of evaluate=.",
            callback=_reference,
        ),
    ] = "",
    rows: Annotated[int, typer.Option(min=2, metavar="N", help="Draw at most N rows.")] = ROWS,
    device: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Build for another device; see `edgefn device`."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="VARIANT", help="Try only this one; may be repeated."),
    ] = None,
    get_tools: Annotated[
        bool, typer.Option("--get-tools", help="Install the LiteRT converter first.")
    ] = False,
    vendor: Annotated[
        bool, typer.Option("--vendor", help="Bring the wheels of the requirements along.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE.edgefn",
            help="Of the bundle; default: in dist/.",
            callback=_bundle_file,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Compresses a function's models into variants, each judged on its data and measured.

    The variants go to variants/ in its folder, which is meant to be committed, and all of the
    function into one signed file.
    """
    if out is not None and len(targets) > 1:
        raise ConfigError("--output is one file; build one target at a time with it")
    if get_tools:
        _get_tools()
    wishes = Wishes(data=data, rows=rows, only=tuple(only or ()), keep_all=keep_all)
    goal = _goal(device)
    built: list[Built] = []
    failed = 0
    for target in targets:
        try:
            built += _build(target, wishes, goal, vendor=vendor, out=out)
        except ConfigError:
            raise
        except EdgefnError as error:
            failed += 1
            print_failure(error)
    if json:
        output.print_json({"built": built, "failed": failed})
    else:
        for each in built:
            _print(each, explain=explain)
    if failed:
        raise typer.Exit(1)


def _build(
    target: str, wishes: Wishes, goal: Goal, *, vendor: bool, out: Path | None
) -> list[Built]:
    folder = parse_target(target).file.parent
    with (
        only_build_of(folder),
        steps_of(target) as shown,
        tempfile.TemporaryDirectory(prefix="edgefn-") as work,
    ):
        means = Means(
            goal=goal,
            cache=Cache(default_folder(os.environ)),
            progress=shown,
            work=Path(work),
        )
        made = build_variants(target, wishes, means)
        bundles = _bundles(target, shown, vendor=vendor, out=out)
    return [_built(bundle, path, made.get(bundle.manifest.spec.name)) for bundle, path in bundles]


def _bundles(
    target: str, shown: Bars | Lines, *, vendor: bool, out: Path | None
) -> list[tuple[Bundle, Path]]:
    with shown.step("write the bundle"):
        bundles = build(target, keep_lock=True, vendor=vendor)
        if out is not None and len(bundles) > 1:
            names = ", ".join(bundle.manifest.spec.name for bundle in bundles)
            raise ConfigError(f"--output is one file, but {target} has {names}; name one with ::")
        written = []
        for bundle in bundles:
            manifest = bundle.manifest
            file_name = f"{manifest.spec.name}-{manifest.digest()[:12]}{BUNDLE_SUFFIX}"
            path = out or Path("dist", file_name)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_bundle(bundle, path)
            except OSError as error:
                raise BuildFailed(f"the bundle {path} cannot be written: {error}") from error
            written.append((bundle, path))
    return written


def _built(bundle: Bundle, path: Path, made: MadeWith | None) -> Built:
    return Built(
        function=bundle.manifest.spec.name,
        bundle=str(path),
        digest=bundle.manifest.digest(),
        size_bytes=path.stat().st_size,
        variants=tuple(variant.name for variant in bundle.manifest.variants),
        tried=made.tried if made else (),
        judged_on=sentence(made) if made else "",
        notes=bundle.notes,
    )


def _print(built: Built, *, explain: bool) -> None:
    if built.tried:
        table = explained_table(built.tried) if explain else kept_table(built.tried)
        output.out.print(output.plain(built.function, "bold"), table, "", sep="\n")
        output.note(output.plain(built.judged_on))
        for each in built.tried:
            if each.state == "refused" and not explain:
                output.note(output.plain(f"{each.name} refused: {each.reason}"))
        if (rest := rest_of(built.tried)) and not explain:
            output.note(rest)
    for note in built.notes:
        output.note(output.plain(note))
    told = f"{built.bundle}: {size(built.size_bytes)}, digest {built.digest}"
    output.out.print(output.plain(told), soft_wrap=True)


def _goal(device: Path | None) -> Goal:
    """Returns what the build is for: this machine, or the device that a file describes."""
    profile = load_device(device) if device is not None else None
    here = this_device(settings().name)
    return Goal(device=profile or here, here=here)


def _get_tools() -> None:
    from edgefn.compress.converter.environment import ensure

    with steps_of("tools") as shown, shown.step("install the LiteRT converter") as on_share:
        ensure(on_share)
