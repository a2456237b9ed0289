"""The report of a build: one HTML file with all that was tried, and nothing from elsewhere."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Final

from edgefn.compress.outcome import Outcome
from edgefn.compress.results.made_with import MadeWith
from edgefn.compress.results.wording import duration, estimate, size, snr

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --dim: #888; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
h1, h2 { font-weight: 600 } h2 { margin-top: 2.5rem }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: right;
  vertical-align: top; white-space: nowrap }
th:first-child, td:first-child, .text { text-align: left } .text { white-space: normal }
.scroll { overflow-x: auto } .dim { color: var(--dim) } .state { font-weight: 600 }
tr.kept .state { color: #2a8c4a } tr.refused .state, tr.failed .state { color: #c0392b }
tr:not(.kept) td { color: var(--dim) }
img { max-width: 100%; background: #fff } dl { display: grid; grid-template-columns: 9rem 1fr;
  gap: .2rem 1rem; font-size: 13px } dt { color: var(--dim) } dd { margin: 0 }
"""


def html(functions: Mapping[str, MadeWith], pictures: Mapping[str, bytes]) -> str:
    """Returns the report.

    Args:
        functions: What became of each function's models, by its name.
        pictures: PNG of each, by the function's name; one may be missing.
    """
    body = "".join(_section(name, each, pictures.get(name)) for name, each in functions.items())
    title = escape(", ".join(functions))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}: variants'
        f'</title><meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>Variants</h1>{body}</body></html>\n"
    )


def _section(name: str, made: MadeWith, picture: bytes | None) -> str:
    parts = [f"<h2>{escape(name)}</h2>", f"<p>{escape(sentence(made))}</p>"]
    if picture is not None:
        encoded = base64.b64encode(picture).decode()
        parts.append(f'<p><img alt="{escape(name)}" src="data:image/png;base64,{encoded}"></p>')
    parts.append(_table(made.tried))
    facts = "".join(f"<dt>{key}</dt><dd>{escape(value)}</dd>" for key, value in _facts(made))
    parts.append(f"<dl>{facts}</dl>")
    return "".join(parts)


def sentence(made: MadeWith) -> str:
    """Returns in a sentence or two what the variants were judged by, and where measured."""
    if made.data is None:
        return "There was no data: nothing was judged, and only what changes no answer was made."
    rows = f"{made.data.rows} rows {'with' if made.data.labelled else 'without'} labels"
    points = f"{made.max_accuracy_drop * 100:g}"
    judged = (
        f"Judged on {rows}; a variant may lose {points} {'point' if points == '1' else 'points'}."
    )
    if made.device.name == made.measured_on.name:
        return judged
    return (
        f"{judged} Latencies were measured on {made.measured_on.name} and are predicted for "
        f"{made.device.name} by the ratio of the scores."
    )


def _table(outcomes: Sequence[Outcome]) -> str:
    batches = sorted({latency.batch for each in outcomes for latency in each.latencies})
    head = ["variant", "", "size", "load", "memory"]
    head += [f"p50 / p95, batch {batch}" for batch in batches]
    head += ["accuracy", "agreement", "SNR"]
    cells = "".join(f"<th>{escape(each)}</th>" for each in head)
    rows = "".join(_row(each, batches) for each in outcomes)
    return (
        f'<div class="scroll"><table><tr>{cells}<th class="text">why</th></tr>{rows}</table></div>'
    )


def _row(outcome: Outcome, batches: Iterable[int]) -> str:
    cells = "".join(f"<td>{escape(text)}</td>" for text in _numbers(outcome, batches))
    why = escape(outcome.reason or outcome.summary)
    return (
        f'<tr class="{outcome.state}"><td>{escape(outcome.name)}</td>'
        f'<td class="state">{outcome.state}</td>{cells}<td class="text">{why}</td></tr>'
    )


def _numbers(outcome: Outcome, batches: Iterable[int]) -> Iterator[str]:
    yield size(outcome.size_bytes)
    yield duration(outcome.load_s)
    yield size(outcome.private_bytes)
    by_batch = {each.batch: each for each in outcome.latencies}
    for batch in batches:
        found = by_batch.get(batch)
        yield f"{duration(found.p50_s)} / {duration(found.p95_s)}" if found else ""
    yield estimate(outcome.accuracy)
    yield estimate(outcome.agreement)
    yield snr(outcome)


def _facts(made: MadeWith) -> Iterator[tuple[str, str]]:
    for label, device in (("device", made.device), ("measured on", made.measured_on)):
        if label == "measured on" and device == made.device:
            continue
        yield (
            label,
            f"{device.name}: {device.cores} cores, {size(device.memory_bytes)}, "
            f"{' '.join(device.isa) or 'no known instruction set'}, score {device.score:g}",
        )
    if made.data is not None:
        yield "data", f"{made.data.digest} (SHA-256 of the rows)"
        yield "calibration", f"{made.data.calibration_rows} rows that were not judged on"
    yield "versions", ", ".join(f"{name} {version}" for name, version in made.versions.items())
