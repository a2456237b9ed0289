"""The report and the picture of a build."""

import io
from html.parser import HTMLParser

import msgspec
import pytest
from PIL import Image

from edgefn.bundle.record import FunctionRecord
from edgefn.compress.device.profile import Device
from edgefn.compress.outcome import Outcome
from edgefn.compress.results.made_with import Data, MadeWith, made_with
from edgefn.compress.results.picture import WIDTH_PX, draw, quality_of
from edgefn.compress.results.report import html
from edgefn.compress.results.wording import duration, size
from edgefn_runtime.variant import Estimate, Latency

HERE = Device(name="here", cores=2, memory_bytes=1 << 30, backends={"onnx": "1"}, score=2.0)


def outcome(name: str, state: str, share: float | None, p50_s: float, size_bytes: int) -> Outcome:
    measured = state in ("kept", "dominated")
    return msgspec.convert(
        {
            "name": name,
            "state": state,
            "reason": "" if state == "kept" else f"why <{name}>",
            "size_bytes": size_bytes,
            "accuracy": share
            and Estimate(value=share, low=share - 0.02, high=share + 0.01, rows=100),
            "agreement": Estimate(value=1.0, low=0.96, high=1.0, rows=100),
            "snr_db": 31.4 if "int8" in name else None,
            "load_s": 0.01 if measured else None,
            "private_bytes": 9_000_000 if measured else None,
            "latencies": [Latency(batch=b, p50_s=p50_s * b, p95_s=p50_s * 2 * b) for b in (1, 8)]
            if measured
            else [],
            "device": "here" if measured else "",
        },
        Outcome,
        from_attributes=True,
    )


TRIED = (
    outcome("onnx-fp32", "kept", 0.97, 1e-4, 100_000),
    outcome("onnx-fp16", "dominated", 0.97, 1.2e-4, 50_000),
    outcome("onnx-int8-static", "refused", 0.41, 5e-5, 27_000),
    outcome("litert-int8-static", "kept", 0.96, 3e-5, 28_000),
    Outcome(name="onnx-pruned-25", state="skipped", reason="needs <torch>"),
)
MADE = MadeWith(
    versions={"python": "3.11.7"},
    device=HERE,
    measured_on=HERE,
    data=Data(digest="ab" * 32, rows=100, calibration_rows=25, labelled=True),
    max_accuracy_drop=0.005,
    tried=TRIED,
)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.cells.append(data)


def test_the_report_has_every_variant_with_its_numbers_and_its_reason() -> None:
    """Text of recipes and errors is text, never markup."""
    parser = _Links()
    parser.feed(html({"voice": MADE}, {}))
    for each in TRIED:
        assert each.name in parser.cells
        assert not each.reason or each.reason in parser.cells
    for number in ("28 kB", "100 us / 200 us", "41.0 % (39.0 to 42.0)", "31 dB", "equal"):
        assert number in parser.cells
    assert any("a variant may lose 0.5 points" in cell for cell in parser.cells)


def test_the_report_fetches_nothing() -> None:
    """The picture is in it."""
    parser = _Links()
    parser.feed(html({"voice": MADE}, {"voice": b"png"}))
    assert parser.found == ["data:image/png;base64,cG5n"]


def test_latencies_of_another_device_are_said_to_be_predicted() -> None:
    """Nobody takes them for measurements."""
    board = Device(name="board", cores=1, memory_bytes=1, backends={}, score=1.0)
    made = msgspec.structs.replace(MADE, device=board)
    assert "predicted for board" in html({"voice": made}, {})
    assert "predicted" not in html({"voice": MADE}, {})


def test_a_build_without_data_says_so() -> None:
    """Nothing was judged, and the report does not claim it."""
    made = msgspec.structs.replace(MADE, data=None, tried=TRIED[-1:])
    assert "nothing was judged" in html({"voice": made}, {})


def test_how_variants_were_made_is_kept_in_the_record() -> None:
    """As plain data, from which the report of an earlier build is drawn again."""
    record = FunctionRecord(given={}, variants=(), digests={}, made_with=MADE.as_dict())
    kept = msgspec.json.decode(msgspec.json.encode(record), type=FunctionRecord)
    assert made_with(kept) == MADE
    assert made_with(FunctionRecord(given={}, variants=(), digests={})) is None


@pytest.mark.parametrize("labelled", [True, False])
def test_the_picture_is_twice_as_wide_as_a_readme_shows_it(labelled: bool) -> None:
    """With labels it shows accuracy, without them agreement."""
    tried = TRIED if labelled else [msgspec.structs.replace(each, accuracy=None) for each in TRIED]
    assert quality_of(tried).label == ("accuracy, %" if labelled else "agreement, %")
    with Image.open(io.BytesIO(draw("voice", tried, "here"))) as picture:
        assert picture.format == "PNG"
        assert picture.width == WIDTH_PX


def test_numbers_are_told_in_the_unit_that_fits() -> None:
    """Three digits are what was measured."""
    assert [size(n) for n in (None, 950, 48_200, 13_993_000)] == ["", "0.9 kB", "48 kB", "14 MB"]
    assert [duration(s) for s in (None, 2.71e-5, 8.16e-3)] == ["", "27.1 us", "8.16 ms"]


def test_only_what_ran_in_a_replica_is_measured() -> None:
    """A bundle never says of a variant what nobody has measured."""
    measured = TRIED[0].measured
    assert measured is not None and measured.latencies[0].p50_s == 1e-4
    assert TRIED[2].measured is None
