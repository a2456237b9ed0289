"""What a box tells its hub."""

import msgspec

from edgefn.box.config import BoxConfig
from edgefn.box.functions import Function
from edgefn.box.loads import snapshot
from edgefn.box.memory import BoxMemory
from edgefn.box.reporting import Followed, Overdue, build_report
from edgefn.box.totals import Totals
from edgefn.gateway.control import PlaceReport, Report


def report_of(tmp_path, functions, replicas=(), **followed):
    totals = Totals()
    for function in functions:
        totals.expect(function.serving.function)
    totals.add(Report(0, (), 0, (PlaceReport("cloud-1", "cloud", True, 0.02),)))
    return build_report(
        BoxConfig(state_dir=tmp_path, name="plant-1"),
        boot_id="b",
        started_s=1.0,
        address="a:1",
        functions=functions,
        replicas=replicas,
        totals=totals,
        followed=Followed(**followed),
    )


def test_a_report_tells_what_serves_and_what_its_scaler_wants(
    tmp_path, make_revision, make_replica
):
    """And whom the box is linked with."""
    function = Function(serving=make_revision())
    function.wanted["python"], function.leases["python"] = 2, 1
    replicas = [make_replica(function.serving, "ready"), make_replica(function.serving)]
    report = report_of(tmp_path, [function], replicas, epoch="e", revision=4, in_cluster=True)
    (told,) = report.functions
    (variant,) = told.variants
    assert (told.state, told.digest) == ("serving", function.serving.digest)
    assert (variant.wanted, variant.replicas, variant.leases) == (2, 1, 1)
    assert (report.box, report.site, report.revision, report.has_ray) == (
        "plant-1", "plant-1", 4, True,
    )  # fmt: skip
    assert [(link.box, link.up, link.rtt_s) for link in report.links] == [("cloud-1", True, 0.02)]
    assert msgspec.json.decode(msgspec.json.encode(report), type=type(report)) == report


def test_what_is_not_as_it_is_wanted_is_told_with_its_reason(tmp_path, make_revision):
    """Whether an older revision serves or none does."""
    overdue = {"f": Overdue("failed", "it breaks"), "new": Overdue("pending", "on its way")}
    report = report_of(tmp_path, [Function(serving=make_revision())], overdue=overdue)
    known = {one.name: one for one in report.functions}
    assert (known["f"].state, known["f"].reason) == ("failed", "it breaks")
    assert known["f"].digest
    assert (known["new"].state, known["new"].digest) == ("pending", "")


def test_what_is_for_other_boxes_is_offered_by_nobody_and_never_started(tmp_path, make_revision):
    """The gateways know it, so that calls go to peers; the scaler does not."""
    revision = make_revision(elsewhere="it is for boxes of tier cloud")
    function = Function(serving=revision)
    route = function.route([])
    assert route.state == "serving"
    assert {(one.state, one.reason) for one in route.variants} == {
        ("unavailable", "it is for boxes of tier cloud")
    }
    assert function.startable() == []
    totals = Totals()
    totals.expect("f")
    assert snapshot([function], [], totals, BoxMemory(), set()).functions == ()
    (told,) = report_of(tmp_path, [function]).functions
    assert (told.state, told.variants[0].refused) == ("elsewhere", "it is for boxes of tier cloud")
