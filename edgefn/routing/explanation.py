"""Why a call goes where it goes, in numbers that people can read."""

import msgspec


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint as it was weighed, or a variant that had to be started.

    Attributes:
        endpoint: Its name; empty for a variant without a replica here.
        variant: Of the function.
        place: Name of the place; empty for this box.
        tier: Of the place.
        network_ms: Predicted legs: the network, there and back,
        cold_ms: a replica's start,
        wait_ms: the queue,
        service_ms: and the run itself.
        predicted_ms: Their sum.
        bound_ms: What is exceeded only as often as the calibration wants.
        chance: Probability of an answer in time.
        accuracy: As measured, if it was.
        cost: What it counts for, by the function's objective.
        score: The highest one wins.
        lost_because: Empty for the one that is chosen.
    """

    endpoint: str
    variant: str
    place: str
    tier: str
    network_ms: float = 0.0
    cold_ms: float = 0.0
    wait_ms: float = 0.0
    service_ms: float = 0.0
    predicted_ms: float = 0.0
    bound_ms: float = 0.0
    chance: float = 0.0
    accuracy: float | None = None
    cost: float = 0.0
    score: float = 0.0
    lost_because: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What would be decided about a call now.

    Attributes:
        function: That is called.
        objective: By which it is decided.
        budget_ms: That the call has; None: no deadline.
        decision: In a sentence.
        candidates: The best first; those that may not be chosen at all last.
    """

    function: str
    objective: str
    budget_ms: float | None
    decision: str
    candidates: tuple[Candidate, ...]
