"""Requests of operators that are for another box, passed to the gateway that has a link to it."""

from dataclasses import dataclass

import msgspec

from edgefn.box.gateway_link import GatewayLink
from edgefn.errors import ErrorBody
from edgefn.gateway.control import Answered, Ask, PlaceReport
from edgefn.gateway.statuses import refused


@dataclass(frozen=True, slots=True)
class _Passed:
    asker: GatewayLink
    number: int
    to: GatewayLink
    box: str


class PassedAsks:
    """The requests that a gateway was passed for another one."""

    def __init__(self) -> None:
        self._places: dict[GatewayLink, tuple[PlaceReport, ...]] = {}
        self._passed: dict[int, _Passed] = {}
        self._last = 0

    def reported(self, link: GatewayLink, places: tuple[PlaceReport, ...]) -> None:
        """Takes which boxes a gateway has links to."""
        self._places[link] = places

    def pass_on(self, asker: GatewayLink, ask: Ask, box: str) -> None:
        """Has a request answered by a box; `answered` comes of it, or a refusal now."""
        for link, places in self._places.items():
            if link is not asker and any(one.name == box and one.up for one in places):
                self._last += 1
                self._passed[self._last] = _Passed(asker, ask.id, link, box)
                link.send_ask(msgspec.structs.replace(ask, id=self._last))
                return
        up = {one.name for places in self._places.values() for one in places if one.up}
        linked = f"linked are {', '.join(sorted(up))}" if up else "none is linked"
        error = ErrorBody("not_found", f"no link to a box {box[:63]!r} is up; {linked}")
        asker.send_answer(refused(ask.id, error))

    def answered(self, answer: Answered) -> None:
        """Takes an answer to whoever asked; one that nobody waits for is dropped."""
        passed = self._passed.pop(answer.id, None)
        if passed is not None:
            passed.asker.send_answer(msgspec.structs.replace(answer, id=passed.number))

    def lost(self, link: GatewayLink) -> None:
        """Forgets a gateway that is gone, and refuses what it was passed."""
        self._places.pop(link, None)
        for number, passed in tuple(self._passed.items()):
            if passed.to is link:
                error = ErrorBody(
                    "unavailable", f"the link to box {passed.box} was lost; try again"
                )
                self.answered(refused(number, error))
