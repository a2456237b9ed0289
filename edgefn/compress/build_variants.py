"""Builds the functions of a target: compresses their models and writes the folder of variants."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from edgefn.bundle.description import Declared, Description
from edgefn.bundle.environment import LOCK_FILE
from edgefn.bundle.gather import BuildFailed, gather
from edgefn.bundle.reading import Reading
from edgefn.bundle.record import FOLDER, RECORD_FILE, FunctionRecord, Record, read_record
from edgefn.bundle.target import Target, parse_target, wanted_of
from edgefn.compress.cache import key_of
from edgefn.compress.pipeline import compress
from edgefn.compress.progress import Progress
from edgefn.compress.recipe import ExtraMissing, Recipe
from edgefn.compress.recipes import all_recipes
from edgefn.compress.results.folder import check_folder, write_folder
from edgefn.compress.results.made_with import MadeWith, made_with
from edgefn.compress.results.picture import draw
from edgefn.compress.results.record import Compressed
from edgefn.compress.results.report import html
from edgefn.compress.task import Means, Task, Wishes

REPORT_FILE = "report.html"
PICTURE_FILE = "pareto.png"


@dataclass(slots=True, kw_only=True)
class _Kept:
    """What the folder of variants is to hold."""

    functions: dict[str, FunctionRecord] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, compressed: Compressed) -> None:
        self.functions[name] = compressed.record
        self.files.update(compressed.files)


def build_variants(target: str, wishes: Wishes, means: Means) -> dict[str, MadeWith]:
    """Compresses the models of a target's functions, and writes their folder of variants.

    Functions of the same file that are not of the target keep their variants. A function without
    models has nothing to compress. If anything fails, the folder stays as it was.

    Returns:
        What became of each function's models, by its name.

    Raises:
        BuildFailed: No such target, it does not import, or no variant of a function is left.
        ConfigError: A variant is asked for that no recipe makes.
        InvalidData: A function's data, labels or metric are at fault.
    """
    chosen = parse_target(target)
    with Reading(chosen.file) as reading:
        description = reading.result()
    wanted = [each for each in wanted_of(chosen, description.functions) if each.spec.models]
    if not wanted:
        return {}
    folder = chosen.file.parent
    check_folder(folder)
    with_models = [each for each in description.functions if each.spec.models]
    code = _code_digest(chosen, description)
    kept = _kept(folder, [each for each in with_models if each not in wanted])
    for declared in wanted:
        task = Task(
            file=chosen.file,
            declared=declared,
            code_digest=code,
            prefix=f"{declared.spec.name}." if len(with_models) > 1 else "",
        )
        kept.add(task.name, compress(task, wishes, _own_means(task, means), _recipes(task)))
    made = {name: found for name, each in kept.functions.items() if (found := made_with(each))}
    record = msgspec.json.encode(Record(functions=kept.functions), order="deterministic")
    pictures = _pictures(made, means.progress)
    single = len(made) == 1
    write_folder(
        folder,
        {
            **kept.files,
            **{
                PICTURE_FILE if single else f"{name}.{PICTURE_FILE}": picture
                for name, picture in pictures.items()
            },
            REPORT_FILE: html(made, pictures).encode(),
            RECORD_FILE: msgspec.json.format(record, indent=1) + b"\n",
        },
    )
    return {each.spec.name: made[each.spec.name] for each in wanted}


def _own_means(task: Task, means: Means) -> Means:
    work = means.work / task.name
    work.mkdir()
    return replace(means, work=work)


def _recipes(task: Task) -> tuple[Recipe, ...]:
    if not task.declared.options.student:
        return all_recipes()
    return all_recipes(_student, f"{task.declared.options.student} {task.code_digest}")


def _student() -> None:
    """Stands for the function's student, whose code runs in the maker's process alone."""
    raise AssertionError("recipes make nothing in the build's own process")


def _kept(folder: Path, others: Sequence[Declared]) -> _Kept:
    """Returns what an earlier build left of other functions, as far as it is undamaged."""
    kept = _Kept()
    try:
        record = read_record(folder)
    except BuildFailed:
        return kept
    for declared in others:
        found = record.functions.get(declared.spec.name) if record else None
        if found is None:
            continue
        files = {path: folder / path for path in found.digests if path.startswith(f"{FOLDER}/")}
        contents = {path: file.read_bytes() for path, file in files.items() if file.is_file()}
        digests = {path: hashlib.sha256(data).hexdigest() for path, data in contents.items()}
        if all(digests.get(path) == found.digests[path] for path in files):
            kept.functions[declared.spec.name] = found
            kept.files.update(
                (path.removeprefix(f"{FOLDER}/"), data) for path, data in contents.items()
            )
    return kept


def _code_digest(chosen: Target, description: Description) -> str:
    """Returns a digest of the files that answers may depend on; models are counted elsewhere."""
    folder = chosen.file.parent
    if chosen.whole_folder:
        files = gather(folder, left_out=(f"{FOLDER}/*", LOCK_FILE, "*.md", "*.png"))
    else:
        names = {*description.imported, *(path.name for path in folder.glob("*.py"))}
        files = {name: folder / name for name in sorted(names)}
    models = {path for each in description.functions for path in each.spec.models.values()}
    return key_of(
        *(
            part
            for name, path in files.items()
            if name not in models
            for part in (name, path.read_bytes())
        )
    )


def _pictures(made: Mapping[str, MadeWith], progress: Progress) -> dict[str, bytes]:
    try:
        return {name: draw(name, each.tried, each.device.name) for name, each in made.items()}
    except ExtraMissing as error:
        progress.note(error.message)
        return {}
