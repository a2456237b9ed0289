"""What a build made of one function's models: its record, and the files of its variants."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgefn.bundle.gather import BuildFailed
from edgefn.bundle.record import FOLDER, FunctionRecord
from edgefn.compress.candidate import Candidate
from edgefn.compress.device.profile import Goal
from edgefn.compress.outcome import Outcome
from edgefn.compress.recipe import Source
from edgefn.compress.results.made_with import Data, MadeWith, versions
from edgefn.compress.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """What a build made of a function's models.

    Attributes:
        record: For the folder's record.
        files: Content of the model files, by name in the folder of variants.
    """

    record: FunctionRecord
    files: Mapping[str, bytes]


def compressed(
    task: Task,
    sources: Mapping[str, Source],
    goal: Goal,
    kept: Sequence[Candidate],
    outcomes: Sequence[Outcome],
    data: Data | None,
) -> Compressed:
    """Returns what a build made of a function's models.

    Args:
        task: That was given.
        sources: Its models, as they were when the build began.
        goal: The device that it was for.
        kept: The variants, in order of preference.
        outcomes: Of everything that was tried, in the order of the report.
        data: What variants were judged by; None if there was none.

    Raises:
        BuildFailed: No variant is left.
    """
    if not kept:
        raise none_left(task.name, {each.name: each.reason for each in outcomes})
    made = MadeWith(
        versions=versions(),
        device=goal.device,
        measured_on=goal.here,
        data=data,
        max_accuracy_drop=task.declared.options.max_accuracy_drop,
        tried=tuple(outcomes),
    )
    record = FunctionRecord(
        given={
            parameter: hashlib.sha256(source.data).hexdigest()
            for parameter, source in sources.items()
        },
        variants=tuple(candidate.variant() for candidate in kept),
        digests={
            path: digest for candidate in kept for path, digest in candidate.digests().items()
        },
        made_with=made.as_dict(),
    )
    files = {
        path.removeprefix(f"{FOLDER}/"): candidate.models[parameter].read_bytes()
        for candidate in kept
        for parameter, path in candidate.paths.items()
        if path.startswith(f"{FOLDER}/")
    }
    return Compressed(record=record, files=files)


def none_left(function: str, reasons: Mapping[str, str]) -> BuildFailed:
    """Returns the error that no variant is left; a reason that several share is told once."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    told = "; ".join(f"{', '.join(each)}: {reason}" for reason, each in names.items())
    return BuildFailed(f"no variant of {function} is left. {told}")
