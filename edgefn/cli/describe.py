"""`edgefn describe`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from rich.table import Table

from edgefn import client
from edgefn.cli import options, output
from edgefn.cli.schema_text import type_text
from edgefn.client.status import FunctionStatus, VariantStatus
from edgefn.compress.results.wording import size
from edgefn_runtime.manifest import FunctionSpec
from edgefn_runtime.variant import Estimate, Measurement


def command(
    name: options.Name, url: options.Url = None, box: options.Box = None, json: options.Json = False
) -> None:
    """Shows what a function takes and gives, and how to call it."""
    with client.AdminClient(url, box=box) as admin:
        status = admin.function(name)
        example = admin.example(name)
    if json:
        output.print_json({**msgspec.to_builtins(status), "example": example})
        return
    output.out.print(_head(status))
    output.out.print("", variant_table(status.variants), sep="\n")
    if status.schema is not None:
        output.out.print("", _fields("takes", status.schema.input), sep="\n")
        output.out.print("", _answer(status.schema.output), sep="\n")
    output.out.print(output.plain(f"\n{example}"))


def _head(status: FunctionStatus) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(output.plain(status.name, "bold"), output.plain(status.doc))
    grid.add_row(
        output.plain("revision", "dim"),
        output.plain(f"{status.revision}, digest {status.digest[:12]}"),
    )
    grid.add_row(output.plain("state", "dim"), output.state(status.state))
    for label, value in declared(status.spec) if status.spec is not None else ():
        grid.add_row(output.plain(label, "dim"), output.plain(value))
    return grid


def variant_table(variants: Iterable[VariantStatus]) -> Table:
    """Returns variants, one a line, the default one marked."""
    made = output.table(
        "variant", "state", "replicas", "size", "p50", "memory", "accuracy", "agreement", "",
        right=("replicas", "size", "p50", "memory", "accuracy", "agreement"),
    )  # fmt: skip
    for each in variants:
        remark = each.reason or each.recipe
        made.add_row(
            output.plain(each.name, "bold" if each.default else ""),
            output.state("default" if each.default and not each.reason else each.state),
            str(each.replicas),
            *_measured(each.measured),
            output.plain(remark),
        )
    return made


def _measured(measured: Measurement | None) -> tuple[str, str, str, str, str]:
    """Returns size, latency of a single call, memory, accuracy and agreement."""
    if measured is None:
        return "", "", "", "", ""
    single = [one.p50_s for one in measured.latencies if one.batch == 1]
    return (
        size(measured.size_bytes),
        output.milliseconds(single[0] * 1000) if single else "",
        output.size(measured.private_bytes),
        _estimate(measured.accuracy),
        _estimate(measured.agreement),
    )


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return f"{estimate.value:.4g} ({estimate.low:.4g} to {estimate.high:.4g})"


def declared(spec: FunctionSpec) -> Iterator[tuple[str, str]]:
    """Yields what a function was declared with, each with its label."""
    if spec.deadline_s is not None:
        yield "deadline", output.milliseconds(spec.deadline_s * 1000)
    if spec.min_accuracy is not None:
        unless = ", unless nothing better could be in time" if spec.degrade else ""
        yield "accuracy", f"at least {spec.min_accuracy:g}{unless}"
    if spec.models:
        yield "models", ", ".join(f"{path} ({name})" for name, path in spec.models.items())
    scale = spec.scale
    yield "replicas", f"{scale.min} to {scale.max}, idle ones end after {scale.idle_s:g} s"
    yield "batch", f"up to {spec.batch} calls a run" if spec.batch > 1 else "one call a run"
    yield "timeout", f"{spec.timeout_s:g} s a run"
    yield "tiers", ", ".join(spec.tiers)
    yield "routing", ", ".join(_routing(spec))
    if spec.requirements:
        yield "needs", ", ".join(spec.requirements)


def _routing(spec: FunctionSpec) -> Iterator[str]:
    yield f"by {spec.objective}"
    yield f"priority {spec.priority}"
    if spec.idempotent:
        yield "a call may run twice"
    if spec.escalate_below is not None:
        yield f"confidence below {spec.escalate_below:g} asks a better variant"


def _answer(schema: Mapping[str, Any]) -> Table:
    if schema.get("properties"):
        return _fields("answers", schema)
    table = output.table("answers", "type")
    table.add_row("", output.plain(type_text(schema, schema)))
    return table


def _fields(title: str, schema: Mapping[str, Any]) -> Table:
    table = output.table(title, "type", "")
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        remark = field.get("description", "") if "x-edgefn-tensor" not in field else ""
        if name not in required and title == "takes":
            default = msgspec.json.encode(field["default"]).decode() if "default" in field else ""
            remark = " ".join(
                part for part in ("optional", default and f"({default})", remark) if part
            )
        table.add_row(name, output.plain(type_text(field, schema)), output.plain(remark))
    return table
