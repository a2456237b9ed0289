"""Calls out of recordings, in the three formats."""

from pathlib import Path

import numpy
import pytest

from edgefn.errors import ConfigError
from edgefn.simulate.scenario import (
    BoxModel,
    FunctionModel,
    Scenario,
    SiteModel,
    VariantModel,
    Workload,
)
from edgefn.simulate.traces import Trace, read_trace
from edgefn.simulate.workload import arrivals

_PLAIN = """time_s,function,size_bytes,site
0.5,camera,1000,edge-1
2.0,voice,10,edge-2
1.5,camera,3000,edge-2
9.0,camera,9,edge-1
"""
_AZURE_2021 = """app,func,end_timestamp,duration
a1,f00dcafe11,2.0,0.5
a1,f00dcafe11,1.75,1.5
a2,beef,9.0,1.0
a2,beef,9.5,1.0
"""


def _azure_2019() -> str:
    header = ["HashOwner", "HashApp", "HashFunction", "Trigger"]
    header += [str(minute) for minute in range(1, 1441)]
    busy = ["0", "120", "60"] + ["0"] * 1437
    other = ["1"] * 1440
    rows = [header, ["o", "a", "c0ffee42", "http", *busy], ["o", "a", "decaf000", "timer", *other]]
    return "\n".join(",".join(row) for row in rows) + "\n"


def _read(
    folder: Path, content: str, *, key: str = "", name: str = "camera", until_s: float = 1e9
) -> Trace:
    file = folder / "trace.csv"
    file.write_text(content)
    source = f"{file}#{key}" if key else str(file)
    return read_trace(source, name, until_s=until_s, rng=numpy.random.default_rng(1))


def test_plain_calls_are_sorted_with_their_sizes_and_sites(tmp_path: Path) -> None:
    """Of the function of that name only."""
    trace = _read(tmp_path, _PLAIN, until_s=9.0)
    assert trace.instants_s.tolist() == [0.5, 1.5]
    assert trace.sizes is not None and trace.sizes.tolist() == [1000.0, 3000.0]
    assert trace.sites == ("edge-1", "edge-2")


def test_sizes_and_sites_may_be_missing(tmp_path: Path) -> None:
    """Time and function are enough; another function can be named behind the file."""
    trace = _read(tmp_path, "time_s,function\n1,a\n2,b\n", key="b")
    assert (trace.instants_s.tolist(), trace.sizes, trace.sites) == ([2.0], None, None)


def test_calls_of_2021_begin_before_they_end(tmp_path: Path) -> None:
    """By their duration; the beginning of the hash is enough."""
    trace = _read(tmp_path, _AZURE_2021, key="f00d")
    assert trace.instants_s.tolist() == [0.25, 1.5]


def test_counts_of_2019_are_spread_within_their_minute(tmp_path: Path) -> None:
    """120 in the second minute, 60 in the third."""
    trace = _read(tmp_path, _azure_2019(), key="c0ffee")
    assert ((trace.instants_s >= 60) & (trace.instants_s < 120)).sum() == 120
    assert ((trace.instants_s >= 120) & (trace.instants_s < 180)).sum() == 60
    assert len(trace.instants_s) == 180
    assert (numpy.diff(trace.instants_s) >= 0).all()
    assert len(_read(tmp_path, _azure_2019(), key="c0ffee", until_s=90).instants_s) < 120


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "line 1: the columns (none) are those of no format"),
        ("when,what\n1,2\n", "line 1: the columns when, what are those of no format"),
        ("time_s,function\n1,camera\nsoon,camera\n", "line 3, column time_s: 'soon' is not"),
        ("time_s,function\n1,camera\n-1,camera\n", "line 3, column time_s: '-1' is not"),
        ("time_s,function\nnan,camera\n", "line 2, column time_s: 'nan' is not"),
        ("time_s,function\n1,camera,2\n", "line 2: 3 columns where the first line names 2"),
        ("time_s,function\n1,a\n2,b\n3,b\n", "no calls of a function 'camera'"),
        ("time_s,function\n1,a\n2,b\n3,b\n", "the busiest ones are b, a"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, content: str, expected: str) -> None:
    """File, line and column, the value, and what was expected."""
    with pytest.raises(ConfigError) as raised:
        _read(tmp_path, content)
    assert expected in raised.value.message
    assert "trace.csv" in raised.value.message


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    """With the system's reason."""
    with pytest.raises(ConfigError, match=r"cannot read the trace .*none\.csv: No such file"):
        read_trace(str(tmp_path / "none.csv"), "f", until_s=1.0, rng=numpy.random.default_rng(1))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="cannot read the trace"):
        read_trace(str(tmp_path / "binary.csv"), "f", until_s=1.0, rng=numpy.random.default_rng(1))


def _scenario(trace: str, *, duration_s: float = 10.0) -> Scenario:
    return Scenario(
        name="test",
        duration_s=duration_s,
        functions=(
            FunctionModel(
                name="camera", trace=trace, variants=(VariantModel(name="int8", each_s=0.01),)
            ),
        ),
        sites=(SiteModel(name="edge", count=2, boxes=(BoxModel(),)),),
        workload=Workload(calls_per_s=50.0),
    )


def test_a_run_takes_calls_from_the_trace(tmp_path: Path) -> None:
    """At the recorded sites with the recorded sizes; at load 2 it is played twice as fast."""
    file = tmp_path / "calls.csv"
    file.write_text(_PLAIN)
    calls = list(arrivals(_scenario(str(file)), seed=1))
    assert [(call.at_s, call.site, call.size_bytes) for call in calls] == [
        (0.5, 0, 1000),
        (1.5, 1, 3000),
        (9.0, 0, 9),
    ]
    fast = list(arrivals(_scenario(str(file), duration_s=4.0), seed=1, load=2.0))
    assert [call.at_s for call in fast] == [0.25, 0.75]


def test_calls_without_a_site_go_to_all(tmp_path: Path) -> None:
    """By the shares of the sites, with sizes of the workload's payload."""
    file = tmp_path / "calls.csv"
    file.write_text("time_s,function\n" + "".join(f"{n / 100},camera\n" for n in range(1000)))
    calls = list(arrivals(_scenario(str(file)), seed=1))
    assert len(calls) == 1000
    assert sum(call.site for call in calls) == pytest.approx(500, abs=80)
    assert len({call.size_bytes for call in calls}) > 900


def test_a_site_that_is_not_in_the_scenario_is_refused(tmp_path: Path) -> None:
    """With the names of those that are."""
    file = tmp_path / "calls.csv"
    file.write_text("time_s,function,site\n1,camera,moon\n")
    with pytest.raises(ConfigError, match="site 'moon'.*edge-1, edge-2"):
        list(arrivals(_scenario(str(file)), seed=1))
