"""What the name of an endpoint means to a simulated gateway."""

from typing import TYPE_CHECKING

from edgefn.simulate.scenario import VariantModel

if TYPE_CHECKING:
    from edgefn.simulate.engine.device import Replica
    from edgefn.simulate.engine.peer import Peer


class Target:
    """A replica of the site, or a variant at a peer; one of both is None.

    Attributes:
        key: Names of the function and of the variant.
        number: In the log of decisions.
        model: Of the variant.
        label: Variant and tier, as in `int8@edge`.
        coming: Calls on their way there.
    """

    __slots__ = ("coming", "key", "label", "model", "number", "peer", "replica")

    def __init__(
        self,
        number: int,
        function: str,
        model: VariantModel,
        tier: str,
        *,
        replica: "Replica | None" = None,
        peer: "Peer | None" = None,
    ) -> None:
        self.key = (function, model.name)
        self.number = number
        self.model = model
        self.label = f"{model.name}@{tier}"
        self.replica = replica
        self.peer = peer
        self.coming = 0
