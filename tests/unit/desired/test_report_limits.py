"""What a hub takes in a report, and what it refuses."""

import msgspec
import pytest

from edgefn.desired.report import BoxReport, FunctionReport, LinkReport, VariantReport

VARIANT = VariantReport(name="int8", wanted=2, replicas=1)
FUNCTION = FunctionReport(name="voice", digest="d" * 64, variants=(VARIANT,))
LINK = LinkReport(box="cloud-1", tier="cloud", up=True, rtt_s=0.02)
REPORT = BoxReport(
    box="plant-1", tier="edge", site="plant", version="1", boot_id="b", address="[::1]:8443",
    functions=(FUNCTION,), links=(LINK,),
)  # fmt: skip


def taken(report):
    """Returns a report as a hub gets it."""
    return msgspec.json.decode(msgspec.json.encode(report), type=BoxReport)


def test_what_a_box_says_of_itself_is_taken_as_it_was_said():
    """With and without an address."""
    for report in (REPORT, msgspec.structs.replace(REPORT, address="")):
        assert taken(report) == report


@pytest.mark.parametrize(
    "fields",
    [
        {"address": "nonsense"},
        {"address": "host:70000"},
        {"address": "host:8443\n"},
        {"tier": ""},
        {"site": "\x1b[31mplant"},
        {"version": "v" * 1000},
        {"revision": -1},
        {"started_s": -1.0},
        {"functions": (msgspec.structs.replace(FUNCTION, name="../x"),)},
        {"functions": (msgspec.structs.replace(FUNCTION, reason="r" * 10_000),)},
        {"links": (msgspec.structs.replace(LINK, rtt_s=-1.0),)},
        *(
            {"functions": (FunctionReport(name="voice", variants=(variant,)),)}
            for variant in (
                VariantReport(name="int8", wanted=10**9),
                VariantReport(name="int8", wanted=-1),
                VariantReport(name="in t8"),
            )
        ),
    ],
)
def test_what_would_mislead_others_is_refused(fields):
    """Other boxes dial the address, a Ray cluster gets the counts, operators read the rest."""
    with pytest.raises(msgspec.ValidationError):
        taken(msgspec.structs.replace(REPORT, **fields))
