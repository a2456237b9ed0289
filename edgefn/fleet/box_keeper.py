"""The actor that is on each machine of a Ray cluster that an operator keeps."""

import msgspec
import ray
from ray._private.authentication.authentication_utils import is_token_auth_enabled

from edgefn.fleet.keeper import keeper_here


class BoxKeeper:
    """A `Keeper`, for the other machines: what it says is JSON, so that no object of ours travels.

    Args:
        machine: A `RayMachine` as JSON.
    """

    def __init__(self, machine: bytes) -> None:
        self._keeper = keeper_here(
            machine, ray.get_runtime_context().gcs_address, asks_token=is_token_auth_enabled()
        )

    def look(self) -> bytes:
        """See `Keeper.look`."""
        return msgspec.json.encode(self._keeper.look())

    def begin(self, join: str, token: str) -> bytes:
        """See `Keeper.begin`."""
        return msgspec.json.encode(self._keeper.begin(join, token))

    def join_token(self, box: str, address: str) -> bytes:
        """See `Keeper.join_token`."""
        return msgspec.json.encode(self._keeper.join_token(box, address))
