"""What a box is in its fleet, as far as its deployments are concerned. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgefn.errors import EdgefnError
from edgefn_runtime.manifest import Manifest


class FollowsHub(EdgefnError):
    """An operator's change of what a hub decides."""

    code = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """How a box stands in a fleet.

    Attributes:
        tier: Of the box; empty: it is alone, and serves whatever it is given.
        hub: URL of the hub that it follows; empty: it follows none.
    """

    tier: str = ""
    hub: str = ""

    def elsewhere(self, manifest: Manifest, refused: Mapping[str, str]) -> str:
        """Returns why a bundle is for other boxes alone; empty if it is served here.

        A box of the right tier that follows a hub and can serve no variant knows the function all
        the same, and its calls are answered by peers.

        Args:
            manifest: Of the bundle.
            refused: Why the box does not serve a variant, for those that it does not.
        """
        tiers = manifest.spec.tiers
        if self.tier and self.tier not in tiers:
            return f"it is for boxes of tier {' or '.join(tiers)}, and this one is {self.tier}"
        if self.hub and len(refused) == len(manifest.variants):
            return "; ".join(f"{name}: {why}" for name, why in refused.items())
        return ""

    def check_free(self, what: str, command: str) -> None:
        """Makes sure that an operator decides here, and not a hub.

        Args:
            what: That is asked for.
            command: Which has the hub do it.

        Raises:
            FollowsHub: The hub does.
        """
        if self.hub:
            raise FollowsHub(
                f"this box serves what its hub says, and its operators cannot {what} here: "
                f"{command} {self.hub}"
            )
