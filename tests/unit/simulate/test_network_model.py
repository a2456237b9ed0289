"""Networks between sites, and faults of boxes."""

import itertools
import statistics

import pytest

from edgefn.simulate.faults import faults_of
from edgefn.simulate.network import Trips, network_of
from edgefn.simulate.scenario import (
    BoxModel,
    FunctionModel,
    LinkModel,
    Scenario,
    SiteModel,
    VariantModel,
    Workload,
)


def _scenario(*, box: BoxModel | None = None, **link: object) -> Scenario:
    fields = {"between": ("edge", "cloud"), "rtt_s": 0.030} | link
    boxes = (box or BoxModel(),)
    return Scenario(
        name="test",
        functions=(FunctionModel(name="f", variants=(VariantModel(name="v", each_s=0.01),)),),
        sites=(
            SiteModel(name="edge", count=2, boxes=boxes),
            SiteModel(name="cloud", tier="cloud", calls=0.0, boxes=(BoxModel(),)),
        ),
        links=(LinkModel(**fields),),  # type: ignore[arg-type]
        workload=Workload(calls_per_s=1.0),
    )


def _path(*, seed: int = 1, **link: object) -> Trips:
    path = network_of(_scenario(**link), seed=seed).path(0, 2)
    assert path is not None
    return path


def test_a_quiet_trip_is_half_the_round_trip_and_the_bytes() -> None:
    """One way, without noise."""
    path = _path(bits_per_s=8e6)
    assert path.trip_s(0.0, 10_000, 2.0) == pytest.approx(0.015 + 0.010)
    assert path.expected_s(0.0, 10_000) == pytest.approx(0.025)
    assert path.base_rtt_s == 0.030


def test_sites_without_a_link_do_not_reach_each_other() -> None:
    """Nor do two of the same tier without one for that."""
    network = network_of(_scenario(), seed=1)
    assert network.path(0, 1) is None
    assert network.path(2, 1) is not None


def test_noise_has_mean_one_and_comes_from_the_luck() -> None:
    """The same luck gives the same trip."""
    path = _path(cv=0.5, bits_per_s=1e15)
    lucks = [statistics.NormalDist().inv_cdf((n + 0.5) / 4000) for n in range(4000)]
    trips = [path.trip_s(0.0, 0, luck) for luck in lucks]
    assert statistics.fmean(trips) == pytest.approx(0.015, rel=0.01)
    assert statistics.stdev(trips) / 0.015 == pytest.approx(0.5, rel=0.03)
    assert path.trip_s(0.0, 0, lucks[7]) == trips[7]


def test_spikes_have_their_share() -> None:
    """And are as likely for good luck as for bad."""
    path = _path(spike_share=0.1, spike_factor=2.0, bits_per_s=1e15)
    lucks = [statistics.NormalDist().inv_cdf((n + 0.5) / 20_000) for n in range(20_000)]
    spikes = [luck for luck in lucks if path.trip_s(0.0, 0, luck) > 0.02]
    assert len(spikes) == pytest.approx(2000, rel=0.1)
    assert statistics.fmean(spikes) == pytest.approx(0.0, abs=0.1)


def test_bad_states_are_slower_and_shared_by_both_directions() -> None:
    """Three times the round trip and an eighth of the rate."""
    bad = {"bad_for_s": 4.0, "bad_every_s": 20.0, "bits_per_s": 96e6}
    network = network_of(_scenario(**bad), seed=3)
    there, back = network.path(0, 2), network.path(2, 0)
    assert there is not None and back is not None
    trips = [there.trip_s(second / 10, 12_000, 0.0) for second in range(10_000)]
    assert {round(trip, 9) for trip in trips} == {0.016, 0.053}
    assert sum(trip > 0.02 for trip in trips) / 10_000 == pytest.approx(1 / 6, abs=0.05)
    assert [back.trip_s(second / 10, 12_000, 0.0) for second in range(10_000)] == trips


def test_messages_wait_until_an_outage_ends() -> None:
    """Then they need as long as ever; who leaves later arrives at the same instant."""
    path = _path(bad_for_s=4.0, bad_every_s=20.0, outage_share=1.0, bits_per_s=1e15)
    arrivals = [(now / 10, now / 10 + path.trip_s(now / 10, 0, 0.0)) for now in range(1000)]
    waiting = [round(there - 0.015, 6) for now, there in arrivals if there - now > 0.0151]
    assert waiting
    assert len(set(waiting)) < len(waiting) / 4
    assert all(one <= other for (_, one), (_, other) in itertools.pairwise(arrivals))
    # Expected is the same, as nothing is noisy here.
    again = _path(bad_for_s=4.0, bad_every_s=20.0, outage_share=1.0, bits_per_s=1e15)
    assert [now + again.expected_s(now, 0) for now, _ in arrivals] == [at for _, at in arrivals]


def test_only_the_first_of_a_group_straggles_if_so_said() -> None:
    """At the share of its speed that is given, for the share of the time that is given."""
    box = BoxModel(
        count=2,
        straggles_for_s=5.0,
        straggles_every_s=5.0,
        straggles_at=0.25,
        straggler_only_first=True,
    )
    faults = faults_of(_scenario(box=box), seed=1)
    assert faults.speed_of(1) is None
    speed_at = faults.speed_of(0)
    assert speed_at is not None
    speeds = [speed_at(float(second)) for second in range(5000)]
    assert set(speeds) == {0.25, 1.0}
    assert statistics.fmean(speeds) == pytest.approx(0.625, abs=0.05)


def test_crashes_come_in_order_and_the_box_is_gone_in_between() -> None:
    """Of each frail box by itself; none while it is down."""
    box = BoxModel(crashes_every_s=30.0, down_for_s=10.0)
    crashes = list(itertools.islice(faults_of(_scenario(box=box), seed=1).crashes(), 400))
    assert {crash.box for crash in crashes} == {0, 1}
    assert [crash.at_s for crash in crashes] == sorted(crash.at_s for crash in crashes)
    own = [crash for crash in crashes if crash.box == 0]
    for one, other in itertools.pairwise(own):
        assert one.until_s == one.at_s + 10.0
        assert other.at_s > one.until_s
    assert own[-1].at_s / len(own) == pytest.approx(40.0, rel=0.2)


def test_boxes_that_never_crash_never_do() -> None:
    """The iterator ends at once."""
    assert list(faults_of(_scenario(), seed=1).crashes()) == []
