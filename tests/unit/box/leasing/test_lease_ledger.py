"""The ledger of leases."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edgefn.box.leasing.ledger import LOST_HOLD_S, Held, Ledger

KEYS = (("f", "a"), ("f", "b"), ("g", "a"))


def test_a_lost_lease_counts_until_it_is_old() -> None:
    """And not a moment longer; one that was given back does not."""
    ledger = Ledger()
    lost, back = (ledger.take(0.0, KEYS[0], "me") for _ in range(2))
    ledger.lose(10.0, lost)
    ledger.give_back(back)
    assert ledger.held(KEYS[0]) == 0
    assert ledger.floor(10.0 + LOST_HOLD_S - 0.1, KEYS[0]) == 1
    assert ledger.floor(10.0 + LOST_HOLD_S, KEYS[0]) == 0


def test_the_next_lease_takes_the_place_of_a_lost_one() -> None:
    """So that a loss and a take leave the number of replicas as it was."""
    ledger = Ledger()
    first = ledger.take(0.0, KEYS[0], "me")
    assert ledger.bind(KEYS[0], ["r1", "r2"]) == {"r1"}
    ledger.lose(1.0, first)
    second = ledger.take(2.0, KEYS[0], "me again")
    assert ledger.floor(2.0, KEYS[0]) == 1
    ledger.bind(KEYS[0], ["r1", "r2"])
    assert second.replica == "r1"


def test_a_lease_shows_another_replica_when_its_own_is_gone() -> None:
    """The first that no other lease shows; none if there is none."""
    ledger = Ledger()
    one, two = (ledger.take(0.0, KEYS[0], "me") for _ in range(2))
    ledger.bind(KEYS[0], ["r1", "r2", "r3"])
    assert (one.replica, two.replica) == ("r1", "r2")
    assert ledger.bind(KEYS[0], ["r2", "r3"]) == {"r2", "r3"}
    assert (one.replica, two.replica) == ("r3", "r2")
    assert ledger.bind(KEYS[0], ["r2"]) == {"r2"}
    assert one.replica == ""


def test_what_was_lost_of_a_removed_function_is_forgotten() -> None:
    """Another of the same name starts with nothing; what is held stays, its holder is there."""
    ledger = Ledger()
    for key in KEYS:
        ledger.lose(0.0, ledger.take(0.0, key, "me"))
    held = ledger.take(0.0, KEYS[1], "me")
    ledger.lose(0.0, ledger.take(0.0, KEYS[1], "me"))
    ledger.forget_lost("f")
    assert [ledger.floor(0.0, key) for key in KEYS] == [0, 1, 1]
    ledger.give_back(held)
    assert ledger.floor(0.0, KEYS[1]) == 0


class LedgerMachine(RuleBasedStateMachine):
    """Any order of events, against a list of instants for each variant."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(lost_hold_s=10.0)
        self.now_s = 0.0
        self.held: list[Held] = []
        self.lost: dict[tuple[str, str], list[float]] = {key: [] for key in KEYS}

    @rule(key=st.sampled_from(KEYS))
    def take(self, key: tuple[str, str]) -> None:
        self.held.append(self.ledger.take(self.now_s, key, "me"))
        self.lost[key].sort()
        del self.lost[key][:1]

    @rule(pick=st.integers(0, 100), lost=st.booleans(), twice=st.booleans())
    def end(self, pick: int, lost: bool, twice: bool) -> None:
        if not self.held:
            return
        lease = self.held.pop(pick % len(self.held))
        for _ in range(1 + twice):
            if lost:
                self.ledger.lose(self.now_s, lease)
            else:
                self.ledger.give_back(lease)
        if lost:
            self.lost[lease.key].append(self.now_s)

    @rule(after_s=st.floats(0.0, 12.0))
    def wait(self, after_s: float) -> None:
        self.now_s += after_s
        for key, instants in self.lost.items():
            self.lost[key] = [at_s for at_s in instants if self.now_s - at_s < 10.0]

    @rule(key=st.sampled_from(KEYS), live=st.sets(st.integers(1, 6)))
    def bind(self, key: tuple[str, str], live: set[int]) -> None:
        replicas = [f"r{number}" for number in sorted(live)]
        shown = self.ledger.bind(key, replicas)
        leases = [lease.replica for lease in self.held if lease.key == key and lease.replica]
        assert sorted(leases) == sorted(shown), "each is shown by one lease"
        held = self.ledger.held(key)
        assert len(shown) == min(held, len(replicas))
        assert shown <= set(replicas)

    @invariant()
    def counts_are_right(self) -> None:
        for key in KEYS:
            held = sum(lease.key == key for lease in self.held)
            assert self.ledger.held(key) == held
            assert self.ledger.floor(self.now_s, key) == held + len(self.lost[key])


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), max_size=20))
def test_losing_and_taking_again_never_changes_the_floor(lost: list[bool]) -> None:
    """However often the holders of two leases die and come back."""
    ledger = Ledger()
    leases = [ledger.take(0.0, KEYS[0], "me") for _ in range(2)]
    for now_s, first in enumerate(lost):
        ledger.lose(float(now_s), leases.pop(0 if first else 1))
        assert ledger.floor(now_s, KEYS[0]) == 2
        leases.append(ledger.take(now_s + 0.5, KEYS[0], "me"))
        assert ledger.floor(now_s + 0.5, KEYS[0]) == 2
