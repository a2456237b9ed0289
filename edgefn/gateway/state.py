"""What the handlers of requests share."""

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from edgefn.access.caller import Registry
from edgefn.gateway.blob_answer import BlobDownloads
from edgefn.gateway.blobs import BlobUploads
from edgefn.gateway.body import BodyMemory
from edgefn.gateway.box_link import BoxLink
from edgefn.gateway.control import GatewayConfig
from edgefn.gateway.dispatcher import Dispatcher
from edgefn.gateway.guard import Guard
from edgefn.gateway.marking import Marking
from edgefn.gateway.openapi import OpenApi
from edgefn.gateway.peers import Peers
from edgefn.routing.table import HERE
from edgefn_runtime.wire import MAX_BODY_BYTES

_BODY_MEMORY_BYTES: Final = 256 * 1024 * 1024


class Gateway:
    """The parts of a gateway that its handlers use.

    Attributes:
        config: What the box told it.
        dispatcher: Brings calls to replicas.
        box: Asks the box.
        report: Tells the box what was counted until now.
        decisions: What became of the last calls.
        marking: Tells the box what alerts saw in answers.
        uploads: Takes blobs.
        downloads: Sends blobs.
        body_memory: Bounds what large bodies hold.
        openapi: Describes the functions.
        peers: The links to other boxes; None: there are none.
        guard: Lets requests in.
        max_body_bytes: Most that a call may bring.
        tier_and_box: Header lines of what is answered by this box.
        loop: That of the process.
    """

    def __init__(
        self,
        config: GatewayConfig,
        dispatcher: Dispatcher,
        box: BoxLink,
        report: Callable[[], None],
        registry: Registry,
    ) -> None:
        self.config = config
        self.dispatcher = dispatcher
        self.box = box
        self.report = report
        self.decisions = dispatcher.decisions
        self.marking = Marking(box)
        self.uploads = BlobUploads(config.store)
        self.downloads = BlobDownloads(config.store)
        self.body_memory = BodyMemory(_BODY_MEMORY_BYTES)
        self.openapi = OpenApi()
        self.peers: Peers | None = None
        self.guard = Guard(registry)
        self.max_body_bytes = min(config.max_body_bytes, MAX_BODY_BYTES)
        self.tier_and_box = _tier_and_box(config.tier, config.box)
        self.loop = asyncio.get_running_loop()

    def answered_at(self, place: str) -> str:
        """Returns the header lines that say where a call was answered.

        Args:
            place: Name of a peer, or `HERE`.
        """
        if place == HERE:
            return self.tier_and_box
        known = self.dispatcher.places.get(place)
        return _tier_and_box(known.tier if known is not None else "", place)


@lru_cache(maxsize=64)
def _tier_and_box(tier: str, box: str) -> str:
    return f"Edgefn-Tier: {_plain(tier)}\r\nEdgefn-Box: {_plain(box)}\r\n"


def _plain(text: str) -> str:
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in text)
