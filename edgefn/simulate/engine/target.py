"""What the name of an endpoint means to a simulated gateway."""

from typing import TYPE_CHECKING

from edgefn.simulate.scenario import VariantModel

if TYPE_CHECKING:
    from edgefn.simulate.engine.peer import Peer
    from edgefn.simulate.engine.replica import Replica


class Target:
    """A replica of the site, or a variant at a peer; one of both is None.

    Attributes:
        number: In the log of decisions.
        key: Names of the function and of the variant.
        model: Of the variant.
        accuracy: Of the variant.
        label: Variant and tier, as in `int8@edge`.
        replica: Of the site.
        peer: Over which it is reached.
        coming: Calls on their way there.
    """

    __slots__ = ("accuracy", "coming", "key", "label", "model", "number", "peer", "replica")

    def __init__(
        self,
        number: float,
        key: tuple[str, str],
        model: VariantModel,
        label: str,
        replica: "Replica | None",
        peer: "Peer | None",
    ) -> None:
        self.number = number
        self.key = key
        self.model = model
        self.label = label
        self.replica = replica
        self.peer = peer
        self.accuracy = model.accuracy
        self.coming = 0


def target(
    number: int,
    function: str,
    model: VariantModel,
    tier: str,
    *,
    replica: "Replica | None" = None,
    peer: "Peer | None" = None,
) -> Target:
    """Returns what an endpoint is."""
    key = (function, model.name)
    return Target(float(number), key, model, f"{model.name}@{tier}", replica, peer)
