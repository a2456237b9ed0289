"""Rules and dashboards ask only for what a box tells, as its own code names it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from edgefn.box.functions import Function
from edgefn.box.metrics import BoxCollector, render
from edgefn.box.revision import Revision
from edgefn.box.totals import Totals
from edgefn.gateway.control import PlaceReport, Report, SentCount, new_report
from edgefn.gateway.routes import ROUTES
from edgefn_runtime.manifest import BundleFile, FunctionSchema, FunctionSpec, Manifest
from edgefn_runtime.variant import as_given

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "deploy" / "prometheus"
CONFIGS = ("prometheus.yml", "lone.yml")
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "edgefn.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"] for panel in PANELS for target in panel["targets"]
]
OF_PROMETHEUS = {"job", "instance", "box"}  # labels that it adds, as prometheus.yml says


def _function() -> Function:
    """Returns one that is deployed, without any file behind it."""
    spec = FunctionSpec(name="f")
    schema = FunctionSchema(input={"type": "object"}, output={}, v2_inputs=(), v2_outputs=())
    manifest = Manifest(
        module="function.py",
        attribute="f",
        spec=spec,
        schema=schema,
        variants=(as_given(spec.models),),
        files=(BundleFile("function.py", 1, "a" * 64),),
    )
    revision = Revision(
        number=1, digest=manifest.digest(), manifest=manifest, root=Path("/nowhere"), refused={}
    )
    return Function(serving=revision)


def _totals() -> Totals:
    """Returns what a box counted when everything happened once."""
    report = new_report("f")
    report.outcomes, report.variants, report.misses = {200: 1}, {"a": 1}, {"queue": 1}
    report.sent, report.refused = (SentCount("a", "", "first", 1),), {"queue_full": 1}
    totals = Totals()
    totals.expect("f")
    places = (PlaceReport("hub", "cloud", True, 0.1),)
    totals.add(Report(0, (report,), connections=1, places=places))
    return totals


@pytest.fixture(scope="module")
def metrics() -> dict[str, set[str]]:
    """All names that a box tells, each with its labels."""
    collector = BoxCollector(
        version="1",
        functions=[_function()],
        replicas=[],
        totals=_totals(),
        gateways=[0],
        events=[("file:a", 1, 1)],
    )
    told: dict[str, set[str]] = {"up": set()}
    for family in text_string_to_metric_families(render(collector).decode()):
        for sample in family.samples:
            told.setdefault(sample.name, set()).update(sample.labels)
    return told


def selectors(expression: str) -> Iterator[Any]:
    """Yields the metrics that an expression selects."""
    found: list[Any] = []

    def visit(part: Any) -> bool:
        if isinstance(part, promql_parser.VectorSelector):
            found.append(part)
        return True

    promql_parser.walk(promql_parser.parse(expression.replace("$__rate_interval", "5m")), visit)
    yield from found


def recorded() -> dict[str, set[str]]:
    """Returns the names that rules record; the part before the colon has their labels."""
    names = [rule["record"] for rule in RULES if "record" in rule]
    return {name: set(name.partition(":")[0].split("_")) for name in names}


def test_expressions_select_what_there_is(metrics: dict[str, set[str]]) -> None:
    """They are PromQL, and each name and label in a selector is one that is told or recorded."""
    known = metrics | recorded()
    for expression in EXPRESSIONS:
        for selector in selectors(expression):
            assert selector.name in known, expression
            used = {matcher.name for matcher in selector.matchers.matchers}
            assert used <= known[selector.name] | OF_PROMETHEUS, expression


def test_expressions_group_by_labels_that_there_are(metrics: dict[str, set[str]]) -> None:
    """A misspelt one in `by (...)` would silently add up everything."""
    known = metrics | recorded()
    for expression in EXPRESSIONS:
        labels = OF_PROMETHEUS.union(*(known[one.name] for one in selectors(expression)))
        for names in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
            assert {name.strip() for name in names.split(",") if name} <= labels, expression


def test_legends_and_annotations_use_labels_that_are_left() -> None:
    """Those of a `by (...)`, or of the metric itself."""
    for panel in PANELS:
        for target in panel["targets"]:
            grouped = re.search(r"by \(([^)]*)\)", target["expr"])
            if grouped is not None:
                used = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
                assert used <= {name.strip() for name in grouped[1].split(",")}, panel["title"]


def test_every_alert_says_how_bad_it_is_and_what_it_means() -> None:
    """In one short line and a longer one."""
    alerts = [rule for rule in RULES if "alert" in rule]
    assert len({rule["alert"] for rule in alerts}) == len(alerts) > 5
    for rule in alerts:
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert {"summary", "description"} == set(rule["annotations"])


def test_the_dashboard_is_one() -> None:
    """Panels have ids of their own and do not overlap; its variables ask for what there is."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        taken = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells, panel["title"]
        cells |= taken


def test_variables_of_the_dashboard_exist(metrics: dict[str, set[str]]) -> None:
    """Both the metric and the label that their values come from."""
    queries = [one["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    for query in queries:
        match = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", query)
        assert match is not None, query
        assert match[2] in metrics[match[1]] | OF_PROMETHEUS


@pytest.mark.parametrize("name", CONFIGS)
def test_the_scrape_is_what_rules_expect(name: str) -> None:
    """The job that they name, the label `box`, a path that there is, and the rules themselves."""
    config = yaml.safe_load((PROMETHEUS / name).read_text())
    (job,) = config["scrape_configs"]
    assert all((PROMETHEUS / file).is_file() for file in config["rule_files"])
    assert job["job_name"] == "edgefn"
    labelled = {one.get("target_label") for one in job.get("relabel_configs", ())}
    labelled |= {label for one in job["static_configs"] for label in one.get("labels", ())}
    assert "box" in labelled
    assert any(one.path == job.get("metrics_path", "/metrics") for one in ROUTES)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
def test_prometheus_takes_the_rules() -> None:
    """As its own tool says."""
    subprocess.run(
        ["promtool", "check", "rules", "--lint=all", str(PROMETHEUS / "rules.yml")],
        check=True,
        timeout=30,
    )
