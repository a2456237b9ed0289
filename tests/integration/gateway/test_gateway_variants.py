"""Calls that choose their variant, through a real gateway."""

import json
import threading

import pytest

from edgefn.gateway.control import Report, VariantRoute, Wake
from edgefn_runtime.variant import Estimate, Measurement, Variant


def variant(name: str, accuracy: float, **changes: str) -> VariantRoute:
    measured = Measurement(
        size_bytes=1000,
        load_s=0.01,
        private_bytes=2000,
        latencies=(),
        accuracy=Estimate(value=accuracy, low=accuracy - 0.01, high=accuracy + 0.01, rows=100),
    )
    told = Variant(name=name, backend="onnx", recipe="rounded", measured=measured)
    return VariantRoute(variant=told, **changes)


VARIANTS = (
    variant("onnx", 0.95),
    variant("litert", 0.97, state="unavailable", reason="it needs LiteRT"),
    variant("exact", 0.99),
    variant("deadly", 0.98, state="quarantined", reason="it died five times"),
)


@pytest.fixture
def chosen(empty_site, function_route):
    """A site with a function of four variants, two of which have a replica."""
    exact = empty_site.start_replica("r2", variant="exact")
    replicas = (empty_site.start_replica("r1"), exact)
    empty_site.route(function_route(*replicas, variants=VARIANTS))
    return empty_site


@pytest.mark.parametrize(
    ("headers", "answered_by"),
    [
        ({}, "onnx"),
        ({"Edgefn_Variant": "exact"}, "exact"),
        ({"Edgefn_Min_Accuracy": "0.95"}, "onnx"),
        ({"Edgefn_Min_Accuracy": "0.96"}, "exact"),
        ({"Edgefn_Variant": "onnx", "Edgefn_Min_Accuracy": "0.9"}, "onnx"),
    ],
)
def test_a_call_chooses_its_variant(chosen, headers, answered_by):
    """By name or by accuracy; the answer says what it was."""
    status, answered, _ = chosen.call({"x": 1}, **headers)
    assert (status, answered["Edgefn-Variant"]) == (200, answered_by)


@pytest.mark.parametrize(
    ("headers", "status", "code", "told"),
    [
        ({"Edgefn_Variant": "none"}, 404, "unknown_variant", "it has onnx, litert, exact, deadly"),
        ({"Edgefn_Variant": "litert"}, 503, "variant_unavailable", "it needs LiteRT"),
        ({"Edgefn_Variant": "deadly"}, 503, "quarantined", "it died five times"),
        (
            {"Edgefn_Min_Accuracy": "0.995"},
            422,
            "accuracy_unattainable",
            "the best, exact, of 'echo' has 0.99",
        ),
        (
            {"Edgefn_Variant": "onnx", "Edgefn_Min_Accuracy": "0.96"},
            422,
            "accuracy_unattainable",
            "variant onnx of 'echo' has 0.95",
        ),
    ],
)
def test_a_choice_that_cannot_be_is_refused(chosen, headers, status, code, told):
    """With what there is instead."""
    got, answered, body = chosen.call({"x": 1}, **headers)
    assert (got, body["error"]["code"]) == (status, code)
    assert told in body["error"]["message"]
    assert "Retry-After" not in answered


def test_the_open_inference_protocol_has_the_same_choice(chosen):
    """The headers are those of any call."""
    tensor = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1.0]}
    body = json.dumps({"inputs": [tensor]}).encode()
    for name in ("onnx", "exact"):
        headers = {"Content-Type": "application/json", "Edgefn-Variant": name}
        status, answered, _ = chosen.request("POST", "/v2/models/echo/infer", body, headers)
        assert (status, answered["Edgefn-Variant"]) == (200, name)
    headers["Edgefn-Variant"] = "none"
    status, _, answer = chosen.request("POST", "/v2/models/echo/infer", body, headers)
    assert status == 404 and "no variant 'none'" in json.loads(answer)["error"]


def test_a_variant_without_a_replica_is_woken_by_name(empty_site, function_route):
    """Its caller waits; a replica of another variant does not help it, its own does."""
    site = empty_site
    first = site.start_replica("r1")
    site.route(function_route(variants=VARIANTS))
    answers = []
    caller = threading.Thread(
        target=lambda: answers.append(site.call({"x": 1}, Edgefn_Variant="exact"))
    )
    caller.start()
    assert site.wait_for(Wake) == Wake("echo", "exact")
    site.wait_for(
        Report, lambda report: any(one.waiting == {"exact": 1} for one in report.functions)
    )
    site.route(function_route(first, variants=VARIANTS))
    assert site.call({"x": 1})[0] == 200
    assert not answers
    exact = site.start_replica("r2", variant="exact")
    site.route(function_route(first, exact, variants=VARIANTS))
    caller.join(10)
    assert (answers[0][0], answers[0][1]["Edgefn-Variant"]) == (200, "exact")
    site.request("GET", "/metrics")
    functions = [one for report in site.heard(Report) for one in report.functions]
    answered = [(name, n) for one in functions for name, n in one.variants.items()]
    assert sorted(answered) == [("exact", 1), ("onnx", 1)]


def test_a_call_that_waits_goes_on_with_what_a_new_revision_has(empty_site, function_route):
    """It asked for no variant, so it waits for the default one, whichever that now is."""
    site = empty_site
    site.route(function_route(variants=VARIANTS[:1]))
    answers = []
    callers = [
        threading.Thread(target=lambda h=headers: answers.append(site.call({"x": 1}, **h)))
        for headers in ({}, {"Edgefn_Variant": "onnx"})
    ]
    for caller in callers:
        caller.start()
    site.wait_for(
        Report, lambda report: any(one.waiting == {"onnx": 2} for one in report.functions)
    )
    replica = site.start_replica("r1", variant="new")
    new = variant("new", 0.9)
    site.route(function_route(replica, variants=(new,), default="new", revision=2))
    for caller in callers:
        caller.join(10)
    assert sorted(answer[0] for answer in answers) == [200, 404]


def test_variants_are_described_with_what_was_measured(chosen):
    """For those who want to choose."""
    _, _, body = chosen.request("GET", "/v1/functions/echo")
    listed = json.loads(body)["variants"]
    assert [(one["name"], one["default"], one["state"], one["replicas"]) for one in listed] == [
        ("onnx", True, "available", 1),
        ("litert", False, "unavailable", 0),
        ("exact", False, "available", 1),
        ("deadly", False, "quarantined", 0),
    ]
    assert listed[2]["measured"]["accuracy"]["value"] == 0.99
    assert listed[1]["reason"] == "it needs LiteRT"
    _, _, body = chosen.request("GET", "/v1/functions")
    assert json.loads(body)["functions"][0]["variants"] == ["onnx", "litert", "exact", "deadly"]
    _, _, body = chosen.request("GET", "/openapi.json")
    operation = json.loads(body)["paths"]["/v1/functions/echo"]["post"]
    assert {"$ref": "#/components/parameters/variant"} in operation["parameters"]
    assert "422" in operation["responses"]
