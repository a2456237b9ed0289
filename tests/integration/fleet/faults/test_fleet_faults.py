"""What is lost when what dies: a fleet with Ray under a steady load.

The calls named `near` may run once only; those named `far` are answered in the cloud, and may run
twice. A failure counts whoever's it is: each of these calls is one that the fleet could answer.
"""

import os
import signal
import time

import pytest

pytestmark = pytest.mark.timeout(1200)

AGAIN_S = 3.0  # after a death, calls flow again within this
UNDER_WAY_S = 1.0  # a gateway of a busy machine may hear for so long of no death


def assert_none_failed(seen, *streams):
    """Every call was answered, and in time."""
    for stream in streams:
        assert seen.of(stream)
        assert not seen.failed(stream)


def assert_few_failed(seen, *streams):
    """At most what was under way at the instant of the death failed; the rest went on soon."""
    for stream in streams:
        assert all(call.at_s < seen.struck_s + UNDER_WAY_S for call in seen.failed(stream))
        assert seen.longest_gap_s(stream) < AGAIN_S


def test_a_rolling_update_fails_no_call(fleet):
    """Every box changes over to what the hub deployed, and Ray holds its replicas again."""
    with fleet.case("a rolling update") as seen:
        version = fleet.deploy()
        fleet.until(lambda: all(fleet.answers(name) == version for name in fleet.boxes))
        fleet.until(fleet.leased)
    assert_none_failed(seen, *fleet.streams)


def test_more_replicas_and_fewer_fail_no_call(fleet):
    """More for more calls, and by what is declared; fewer when both are over."""
    with fleet.case("more replicas, and fewer") as seen:
        with fleet.load.more("edge near", 10):
            fleet.until(lambda: len(fleet.replica_pids("plant-1")) > 1)
        version = fleet.deploy(least=2)
        fleet.until(lambda: fleet.answers("plant-1") == version)
        fleet.until(lambda: fleet.variant("plant-1").leases >= 2)
        fleet.deploy(least=1)
        fleet.until(lambda: fleet.variant("plant-1").leases == 1)
        fleet.until(lambda: len(fleet.replica_pids("plant-1")) == 1)
    assert not [call for call in seen.calls if call.failed]


def test_the_death_of_the_controller_of_serve_fails_no_call(fleet):
    """Nor do replicas change."""
    before = fleet.replica_pids("plant-1")
    with fleet.case("kill -9 of the Serve controller") as seen:
        killed = fleet.kill("hub", "ray::ServeController")
        fleet.until(lambda: fleet.process("hub", "ray::ServeController") not in (0, killed))
        fleet.until(fleet.leased)
    assert_none_failed(seen, *fleet.streams)
    assert fleet.replica_pids("plant-1") == before


def test_the_death_of_a_peer_gateway_fails_no_call(fleet):
    """What it had under way is answered by another box, where calls may run twice."""
    with fleet.case("kill -9 of a peer's gateway") as seen:
        killed = fleet.strike(seen, "cloud-2", "edgefn.gateway")
        fleet.until(lambda: fleet.process("cloud-2", "edgefn.gateway") not in (0, killed))
        fleet.until(lambda: fleet.is_linked("plant-1", "cloud-2"))
    assert_none_failed(seen, "edge near", "edge far")
    assert_few_failed(seen, "hub near")


def test_the_death_of_a_replica_fails_what_it_had(fleet):
    """The box starts another at once, which takes the place of the one that is gone."""
    (killed,) = fleet.replica_pids("plant-1")
    with fleet.case("kill -9 of a replica") as seen:
        os.kill(killed, signal.SIGKILL)
        seen.struck_s = time.monotonic()
        fleet.until(lambda: fleet.replica_pids("plant-1") - {killed})
        fleet.until(fleet.leased)
    assert_few_failed(seen, *fleet.streams)
    assert_none_failed(seen, "edge far", "hub near")


def test_the_death_of_a_raylet_fails_no_call(fleet):
    """Leases are lost; the replicas that they held serve on."""
    before = fleet.replica_pids("plant-1")
    with fleet.case("kill -9 of a raylet") as seen:
        fleet.strike(seen, "plant-1", "/raylet ")
        fleet.until(lambda: not fleet.leased("plant-1"))
    assert_none_failed(seen, *fleet.streams)
    assert fleet.replica_pids("plant-1") == before


def test_the_death_of_a_box_fails_what_it_had(fleet):
    """Other boxes do without it."""
    with fleet.case("kill -9 of a whole box") as seen:
        fleet.cut_power("cloud-2")
        seen.struck_s = time.monotonic()
        fleet.until(lambda: not fleet.is_linked("plant-1", "cloud-2"))
    assert_none_failed(seen, "edge near", "edge far")
    assert_few_failed(seen, "hub near")


def test_what_died_comes_back_and_is_leased_again(fleet):
    """The raylet is started by its box, whose replica stayed; the other box by its operator."""
    before = fleet.replica_pids("plant-1")
    with fleet.case("both come back") as seen:
        fleet.start("cloud-2")
        fleet.until(lambda: fleet.is_linked("plant-1", "cloud-2"))
        fleet.until(fleet.leased)
    assert_none_failed(seen, *fleet.streams)
    assert fleet.replica_pids("plant-1") == before


def test_a_restart_of_the_hub_fails_no_call_elsewhere(fleet):
    """Nor does it end a replica; with its new head of Ray, all are leased again."""
    before = fleet.replica_pids("plant-1"), fleet.replica_pids("cloud-2", "far")
    with fleet.case("a restart of the hub") as seen:
        assert fleet.end("hub") == 0
        fleet.start("hub")
        fleet.until(lambda: fleet.is_linked("plant-1", "hub"))
        fleet.until(fleet.leased)
    assert_none_failed(seen, "edge near", "edge far")
    assert before == (fleet.replica_pids("plant-1"), fleet.replica_pids("cloud-2", "far"))


def test_without_a_head_of_ray_all_goes_on(fleet):
    """The same processes answer, and a deployment arrives; with a new head all are leased again."""
    before = fleet.replica_pids("plant-1")
    with fleet.case("the same calls with a head of Ray") as usual:
        time.sleep(fleet.headless_s / 4)
    with fleet.frozen("hub", "edgefn.fleet --host"):
        with fleet.case("no head of Ray") as seen:
            fleet.strike(seen, "hub", "/gcs_server ")
            fleet.until(lambda: not fleet.leased("plant-1"))
            time.sleep(max(0.0, seen.struck_s + fleet.headless_s - time.monotonic()))
        with fleet.case("a deployment without a head of Ray") as deploying:
            version = fleet.deploy(name="late")
            fleet.until(lambda: all(fleet.answers(name, "late") == version for name in fleet.boxes))
        assert fleet.replica_pids("plant-1") == before
    with fleet.case("the next head") as next_one:
        fleet.until(lambda: fleet.leased() and fleet.leased(function="late"))
    assert fleet.replica_pids("plant-1") == before
    for case in (usual, seen, deploying, next_one):
        assert_none_failed(case, *fleet.streams)
    if fleet.headless_s > 60.0:  # a bar for a long time on a quiet machine
        assert seen.p99_ms("edge near") <= 1.5 * usual.p99_ms("edge near")


def test_nothing_outlives_the_boxes(fleet):
    """Neither their processes and Ray's, nor Ray's folders."""
    fleet.load.stop()
    families = [one for name in fleet.boxes for one in fleet.family(name)]
    folders = [fleet.ray_folder(name) for name in fleet.boxes]
    assert all(folder.is_dir() for folder in folders)
    for name in ("plant-1", "cloud-2", "hub"):
        assert fleet.end(name) == 0
    fleet.until(lambda: not [one for one in families if one.lives], within_s=10.0)
    assert not [folder for folder in folders if folder.exists()]
