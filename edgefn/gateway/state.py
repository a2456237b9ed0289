"""What the handlers of requests share."""

import asyncio
from collections.abc import Callable
from typing import Final

from edgefn.gateway.blobs import BlobUploads
from edgefn.gateway.body import BodyMemory
from edgefn.gateway.box_link import BoxLink
from edgefn.gateway.control import GatewayConfig
from edgefn.gateway.dispatcher import Dispatcher
from edgefn.gateway.give_ups import GiveUps
from edgefn.gateway.openapi import OpenApi
from edgefn_runtime.wire import MAX_BODY_BYTES

_BODY_MEMORY_BYTES: Final = 256 * 1024 * 1024


class Gateway:
    """The parts of a gateway that its handlers use.

    Attributes:
        config: What the box told it.
        dispatcher: Brings calls to replicas.
        box: Asks the box.
        report: Tells the box what was counted until now.
        give_ups: Answers calls whose time is up.
        uploads: Takes blobs.
        body_memory: Bounds what large bodies hold.
        openapi: Describes the functions.
        max_body_bytes: Most that a call may bring.
        tier_and_box: Header lines that every result has.
        loop: That of the process.
    """

    def __init__(
        self,
        config: GatewayConfig,
        dispatcher: Dispatcher,
        box: BoxLink,
        report: Callable[[], None],
    ) -> None:
        self.config = config
        self.dispatcher = dispatcher
        self.box = box
        self.report = report
        self.give_ups = GiveUps(dispatcher.give_up)
        self.uploads = BlobUploads(config.store)
        self.body_memory = BodyMemory(_BODY_MEMORY_BYTES)
        self.openapi = OpenApi()
        self.max_body_bytes = min(config.max_body_bytes, MAX_BODY_BYTES)
        self.tier_and_box = (
            f"Edgefn-Tier: {_plain(config.tier)}\r\nEdgefn-Box: {_plain(config.box)}\r\n"
        )
        self.loop = asyncio.get_running_loop()


def _plain(text: str) -> str:
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in text)
