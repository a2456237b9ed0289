"""How far a child process says it is."""

from edgefn.compress.children.share import Share, teller


def test_shares_are_told_now_and_then_and_at_the_end() -> None:
    """Ten a second are enough for a bar, and keep the build from taking it for a hang."""
    said: list[Share] = []
    instants = iter([0.0, 0.05, 0.11, 0.12])
    tell = teller(said.append, lambda: next(instants))
    for done in (0.1, 0.2, 0.3, 1.0):
        tell(done)
    assert said == [Share(0.1), Share(0.3), Share(1.0)]
