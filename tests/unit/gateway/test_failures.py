"""How often an address may fail to show who it is."""

import pytest

from edgefn.gateway.failures import ALLOWED, WITHIN_S, Failures


def test_some_failures_are_answered_and_more_are_put_off() -> None:
    """Until time has passed; the budget comes back step by step."""
    failures = Failures()
    assert [failures.note("10.0.0.1", 0.0) for _ in range(ALLOWED)] == [None] * ALLOWED
    again_s = failures.note("10.0.0.1", 0.0)
    assert again_s == pytest.approx(WITHIN_S / ALLOWED)
    assert failures.note("10.0.0.1", again_s - 0.1) is not None
    assert failures.note("10.0.0.1", again_s + 0.1) is None
    assert failures.note("10.0.0.1", again_s + 0.2) is not None
    assert failures.note("10.0.0.1", again_s + WITHIN_S) is None


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ("10.0.0.2", False),
        ("::ffff:10.0.0.1", True),
        ("10.0.0.1", True),
        ("somewhere", False),
    ],
)
def test_each_address_has_its_own_budget(other: str, is_same: bool) -> None:
    """An address of IPv4 counts once, however it is written."""
    failures = Failures()
    for _ in range(ALLOWED):
        failures.note("10.0.0.1", 0.0)
    assert (failures.note(other, 0.0) is not None) == is_same


def test_all_addresses_of_one_site_of_ipv6_count_as_one() -> None:
    """Whoever has one has 2**64 of them."""
    failures = Failures()
    told = [failures.note(f"2001:db8::{n:x}", 0.0) for n in range(ALLOWED + 1)]
    assert told[-1] is not None
    assert failures.note("2001:db8:0:1::1", 0.0) is None


def test_what_is_remembered_is_bounded() -> None:
    """However many addresses there are."""
    failures = Failures()
    for n in range(10_000):
        failures.note(f"10.{n // 65536}.{n // 256 % 256}.{n % 256}", 0.0)
    assert len(failures._buckets) <= 4096
