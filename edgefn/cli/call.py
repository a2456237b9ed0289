"""`edgefn call`."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from edgefn import client
from edgefn.cli import options, output
from edgefn.cli.summary import Summary, summary_of
from edgefn.client.answer import Answer
from edgefn.errors import EdgefnError


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to call, and how."""

    name: str
    inputs: dict[str, Any]
    options: dict[str, Any]
    url: str | None


def command(
    name: options.Name,
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="INPUT",
            help="A JSON object; @FILE: the one in a file; -: from standard input.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Send one image or sound: .jpg .png .wav .pcm.")
    ] = None,
    deadline_ms: Annotated[
        float | None,
        typer.Option("--deadline-ms", metavar="MS", help="Default: the function's own."),
    ] = None,
    variant: Annotated[
        str, typer.Option("--variant", metavar="NAME", help="Default: the box's choice.")
    ] = "",
    min_accuracy: Annotated[
        float | None,
        typer.Option(
            "--min-accuracy", min=0.0, max=1.0, metavar="A", help="Only variants that reach it."
        ),
    ] = None,
    source: Annotated[
        str, typer.Option("--source", metavar="NAME", help="What it tells of; for alerts.")
    ] = "",
    priority: Annotated[
        int | None,
        typer.Option("--priority", min=0, max=9, metavar="P", help="9: the most urgent."),
    ] = None,
    idempotent: Annotated[
        bool, typer.Option("--idempotent", help="It may run twice: hedged, or tried again.")
    ] = False,
    count: Annotated[int, typer.Option("-n", min=1, metavar="N", help="Call so many times.")] = 1,
    concurrency: Annotated[
        int, typer.Option("-c", "--concurrency", min=1, metavar="C", help="So many at once.")
    ] = 1,
    msgpack: Annotated[bool, typer.Option("--msgpack", help="Send msgpack, not JSON.")] = False,
    url: options.Url = None,
    json: options.Json = False,
) -> None:
    """Calls a function."""
    encoding = "msgpack" if msgpack else None
    plan = _Plan(
        name=name,
        inputs=_inputs(text),
        options={
            "file": file,
            "deadline_ms": deadline_ms,
            "variant": variant,
            "min_accuracy": min_accuracy,
            "source": source,
            "priority": priority,
            "idempotent": idempotent,
            "encoding": encoding,
        },
        url=url,
    )
    if count > 1:
        summary = asyncio.run(_call_many(plan, count, min(concurrency, count)))
        output.print_json(summary) if json else _print_summary(summary)
        if summary.errors:
            raise typer.Exit(1)
        return
    with client.Client(url) as caller:
        answer = caller.call(name, plan.inputs, **plan.options)
    if json:
        output.print_json(answer)
        return
    output.print_json(answer.value)
    output.note(_how_it_went(answer))


def _inputs(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    if text == "-":
        data, source = sys.stdin.buffer.read(), "standard input"
    elif text.startswith("@"):
        source = text[1:]
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            raise typer.BadParameter(f"cannot read {source}: {error.strerror}") from error
    else:
        data, source = text.encode(errors="surrogateescape"), "INPUT"
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise typer.BadParameter(
            f"{source} is not a JSON object with the function's parameters: {error}"
        ) from error


def _how_it_went(answer: Answer) -> str:
    parts = [f"variant {answer.variant}", f"tier {answer.tier}"]
    if answer.cold_ms:
        parts.append(f"cold start {output.milliseconds(answer.cold_ms)}")
    parts.append(f"queue {output.milliseconds(answer.queue_ms)}")
    parts.append(f"compute {output.milliseconds(answer.compute_ms)}")
    parts.append(f"total {output.milliseconds(answer.elapsed_ms)}")
    parts.append(f"deadline {answer.sla}" if answer.sla else "no deadline")
    return " | ".join(parts)


async def _call_many(plan: _Plan, count: int, concurrency: int) -> Summary:
    answers: list[Answer] = []
    errors: list[str] = []
    left = iter(range(count))

    async def caller(connection: Any) -> None:
        for _ in left:
            try:
                answers.append(await connection.call(plan.name, plan.inputs, **plan.options))
            except EdgefnError as error:
                errors.append(error.code)

    started_s = time.monotonic()
    with output.spinner(f"{count} calls, {concurrency} at once"):
        async with client.AsyncClient(plan.url) as connection, asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(caller(connection))
    return summary_of(answers, errors, time.monotonic() - started_s)


def _print_summary(summary: Summary) -> None:
    columns = ("calls", "calls/s", "p50", "p95", "p99", "missed", "failed")
    table = output.table(*columns, right=columns)
    times = (summary.p50_ms, summary.p95_ms, summary.p99_ms)
    table.add_row(
        str(summary.calls),
        f"{summary.calls_per_s:.0f}",
        *map(output.milliseconds, times),
        str(summary.misses),
        str(summary.calls - summary.answered),
    )
    output.out.print(table)
    output.note(
        f"in the replica, p50: queue {output.milliseconds(summary.queue_p50_ms)} | "
        f"compute {output.milliseconds(summary.compute_p50_ms)}"
    )
    for code, count in summary.errors.items():
        output.out.print(output.plain(f"{count} x {code}", "red"))
