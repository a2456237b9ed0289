"""What is asked of the next tier, and how it is dealt out."""

from hypothesis import given
from hypothesis import strategies as st

from edgefn.scaling.reserve import Reserve, dealt

HOLD_S = 15.0
names = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=4)


def test_it_rises_at_once_and_falls_after_a_hold() -> None:
    """By whole replicas, so that a peer hears of it a few times and not at every look."""
    reserve = Reserve()
    told = [reserve.push(at_s, missing, HOLD_S) for at_s, missing in ((0, 0.2), (1, 2.1))]
    assert told == [1, 3]
    assert reserve.push(1.0 + HOLD_S, 0.5, HOLD_S) == 3
    assert reserve.push(1.1 + HOLD_S, 0.0, HOLD_S) == 1
    assert reserve.push(1.1 + 2 * HOLD_S, 0.0, HOLD_S) == 0


@given(st.integers(0, 100), names, names, st.sets(names, min_size=1, max_size=6))
def test_all_of_it_is_dealt_out_evenly(
    reserve: int, function: str, asker: str, boxes: set[str]
) -> None:
    """Nobody has two more than another, whatever order they were named in."""
    shares = dealt(reserve, function, asker, boxes)
    assert shares == dealt(reserve, function, asker, sorted(boxes))
    assert shares.keys() == boxes
    assert sum(shares.values()) == reserve
    assert max(shares.values()) - min(shares.values()) <= 1


def test_not_all_who_ask_for_one_ask_the_same_box() -> None:
    """Nor is anything dealt where there is nobody."""
    clouds = ("cloud-1", "cloud-2", "cloud-3")
    asked = [dealt(1, "f", f"edge-{number}", clouds) for number in range(30)]
    assert all(sum(shares[cloud] for shares in asked) >= 3 for cloud in clouds)
    assert dealt(3, "f", "edge-1", ()) == {}
