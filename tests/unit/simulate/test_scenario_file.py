"""Scenario files: what is read, and how faults are told."""

from pathlib import Path

import pytest

from edgefn.errors import ConfigError
from edgefn.simulate.file import read_scenario

_EXAMPLES = Path(__file__).parents[3] / "examples" / "scenarios"
_GOOD = """
duration_s = 20
workload = { calls_per_s = 10 }
functions = [{ name = "f", deadline_s = 0.1, variants = [{ name = "int8", each_s = 0.01 }] }]
sites = [{ name = "edge", boxes = [{ count = 2 }] }]
"""


def _fault(folder: Path, content: str) -> str:
    file = folder / "plant.toml"
    file.write_text(content)
    with pytest.raises(ConfigError) as raised:
        read_scenario(file)
    assert raised.value.message.startswith(str(file))
    return raised.value.message.removeprefix(str(file))


@pytest.mark.parametrize("file", sorted(_EXAMPLES.glob("*.toml")), ids=lambda file: file.stem)
def test_the_examples_are_valid(file: Path) -> None:
    """All of them."""
    assert read_scenario(file).functions


def test_scenario_a_is_as_described() -> None:
    """Its numbers, spot by spot."""
    scenario = read_scenario(_EXAMPLES / "scenario_a.toml")
    deadlines = [each.deadline_s for each in scenario.functions]
    assert deadlines == [0.060, 0.100, 0.150, 0.250, 0.080, 0.400]
    assert [each.min_accuracy for each in scenario.functions] == [0.7, 0.7, 0.7, 0.74, 0.65, 0.74]
    int8 = [each.variants[0] for each in scenario.functions]
    assert [each.each_s for each in int8] == [0.010, 0.008, 0.012, 0.015, 0.006, 0.020]
    assert [each.accuracy for each in int8] == [0.705, 0.705, 0.705, 0.745, 0.705, 0.745]
    assert [box.speed for box in scenario.sites[0].boxes] == [1.0, 1.0, 0.8, 1.25]
    assert [box.straggles_for_s for box in scenario.sites[0].boxes] == [6.0, 0.0, 0.0, 0.0]


def test_the_name_is_the_files_and_traces_are_found_beside_it(tmp_path: Path) -> None:
    """What follows a `#` stays."""
    file = tmp_path / "plant.toml"
    file.write_text(_GOOD.replace('name = "f"', 'name = "f", trace = "day.csv#c0ffee"'))
    scenario = read_scenario(file)
    assert scenario.name == "plant"
    assert scenario.functions[0].trace == f"{tmp_path}/day.csv#c0ffee"


def test_types_and_unknown_fields_are_told_with_their_path(tmp_path: Path) -> None:
    """And what was expected there."""
    wrong = _fault(tmp_path, _GOOD.replace("each_s = 0.01", 'each_s = "fast"'))
    assert wrong == ": functions[0].variants[0].each_s: expected `float`, got `str`"
    unknown = _fault(tmp_path, _GOOD.replace("count = 2", "cout = 2"))
    assert unknown == ": sites[0].boxes[0]: object contains unknown field `cout`"
    missing = _fault(tmp_path, _GOOD.replace("calls_per_s = 10", ""))
    assert missing == ": workload: object missing required field `calls_per_s`"
    assert "is not TOML" in _fault(tmp_path, "name = ")
    with pytest.raises(ConfigError, match=r"cannot read the scenario .*none\.toml: No such file"):
        read_scenario(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("each_s = 0.01", "each_s = 0", "functions[0].variants[0].each_s: 0 must be more than 0"),
        ("0.01 }", '0.01, tiers = ["moon"] }', "no site has the tier 'moon'; tiers of sites: edge"),
        ("0.1, v", "0.1, min_accuracy = 2, v", "min_accuracy: no variant of f reaches 2; its best"),
        ("0.1, v", "0.1, priority = 11, v", "functions[0].priority: 11 must be from 0 to 9"),
        ('variants = [{ name = "int8", each_s = 0.01 }]', "variants = []", "f has none"),
        ("{ count = 2 }", "", "sites[0].boxes: edge has none"),
        ("count = 2", "speed = -1", "sites[0].boxes[0].speed: -1 must be more than 0"),
        ("count = 2", "count = 0", "sites[0].boxes[0].count: 0 must be at least 1"),
        ('"edge", b', '"edge", calls = 0, b', "calls come in at none of them"),
        ("= 20", "= 5", "duration_s: 5 must be more than warm_up_s, 10"),
        ("= 10 }", "= 10, swing = 1 }", "workload.swing: 1 must be at least 0 and less than 1"),
        ("= 10 }", "= 10, cv = nan }", "workload.cv: nan must be more than 0"),
        (
            "= 10 }",
            '= 10, crowds = [{ at_s = 1, for_s = 1, function = "g" }] }',
            "workload.crowds[0].function: there is no function 'g'; there are: f",
        ),
        (
            "sites = [",
            'sites = [{ name = "edge", boxes = [{}] }, ',
            "sites: 'edge' is there twice",
        ),
        (
            "duration_s",
            'links = [{ between = ["edge", "fog"], rtt_s = 1 }]\nduration_s',
            "links[0].between: no site has the tier 'fog'",
        ),
        (
            "sites = [",
            'sites = [{ name = "up", tier = "cloud", calls = 0, boxes = [{}] }, ',
            "sites[0].tier: no variant of any function is served at 'cloud'",
        ),
    ],
)
def test_contradictions_are_told_with_their_path(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    """What is there, and what it should be."""
    assert old in _GOOD
    assert expected in _fault(tmp_path, _GOOD.replace(old, new, 1))


def test_calls_that_nothing_in_reach_can_answer_are_told(tmp_path: Path) -> None:
    """With the link that is missing."""
    far = _GOOD.replace("0.01 }", '0.01, tiers = ["cloud"] }').replace(
        "sites = [", 'sites = [{ name = "c", tier = "cloud", calls = 0, boxes = [{}] }, '
    )
    far = far.replace(
        '{ name = "f"', '{ name = "g", variants = [{ name = "a", each_s = 1 }] }, { name = "f"'
    )
    assert "sites[1]: calls of f come in at edge" in _fault(tmp_path, far)
    assert 'write [[links]] between = ["edge", ...]' in _fault(tmp_path, far)
