"""`python -P -m edgefn.fleet.existing ADDRESS`: has a box run on each machine of a Ray cluster.

The cluster is one that an operator keeps, and this machine one of it. Its token is where Ray itself
looks for it. Each line of the output is a `Said` as JSON: how far each machine is, and at the end
where the hub is, or why there is none.

A process of its own, because Ray ends the processes of those who lost its head.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import edgefn
from edgefn.access.joining import address_of
from edgefn.desired.ray import AUTH_MODE, refuse_open_ray
from edgefn.errors import ConfigError, EdgefnError
from edgefn.fleet import loopback
from edgefn.fleet.box_keeper import BoxKeeper
from edgefn.fleet.machines import RayMachine, machines_of
from edgefn.fleet.reachable import answers
from edgefn.fleet.words import Failed, Found, Prepared, Refused, Reply, Said, Step, Token
from edgefn_runtime.process import die_with

NAMESPACE: Final = "edgefn"
CONNECT_TIMEOUT_S: Final = 60
LOOK_TIMEOUT_S: Final = 60.0  # Ray may have to start a process first
BEGIN_TIMEOUT_S: Final = 180.0
_REPLY: Final = msgspec.json.Decoder(Reply)
Kind = TypeVar("Kind", Found, Token)


def prepare(address: str, tell: Callable[[Said], None]) -> Prepared:
    """Has a box run on each machine; those that are there are left as they are.

    Raises:
        EdgefnError: There is no such cluster, or a machine that cannot have a box.
    """
    _connect(address)
    machines = machines_of(ray.nodes())
    keepers = _Keepers(machines, tell)
    found = keepers.look()
    hub, others = machines[0], machines[1:]
    at_hub = keepers.begin_hub(found[hub.id])
    hub_url = _url_of(hub, at_hub)
    keepers.begin_others({machine.id: found[machine.id] for machine in others}, hub_url)
    is_here = ray.get_runtime_context().get_node_id() == hub.id
    return Prepared(
        boxes=tuple(machine.box for machine in machines),
        url=at_hub.url if is_here else "",
        secure_url=hub_url,
    )


class _Keepers:
    """The actors on all machines."""

    def __init__(self, machines: list[RayMachine], tell: Callable[[Said], None]) -> None:
        self._machines = {machine.id: machine for machine in machines}
        self._hub = machines[0]
        self._tell = tell
        self._actors = {machine.id: _actor(machine) for machine in machines}

    def look(self) -> dict[str, Found]:
        """Returns what there is on each machine, if all of them will do."""
        asked = {}
        for id, machine in self._machines.items():
            self._tell(Step(machine=machine.box, text="look"))
            asked[id] = self._actors[id].look.remote()
        found = {id: self._found(id, reply) for id, reply in asked.items()}
        for id, there in found.items():
            _check(self._machines[id], there)
        return found

    def begin_hub(self, found: Found) -> Found:
        """Returns what there is on the machine of the head once a hub runs there."""
        if not found.url:
            self._tell(Step(machine=self._hub.box, text="start the hub"))
            reply = self._actors[self._hub.id].begin.remote("", "")
            found = self._said(self._hub, reply, Found, BEGIN_TIMEOUT_S)
        self._tell(Step(machine=self._hub.box))
        if not found.is_hub:
            raise EdgefnError(
                f"the box on the machine of Ray's head, {self._hub.box}, is no hub: stop it with "
                "`edgefn down`, and the hub is started there"
            )
        return found

    def begin_others(self, found: dict[str, Found], hub_url: str) -> None:
        """Returns when a box of the hub's fleet runs on each of the other machines."""
        asked = {}
        for id, there in found.items():
            machine = self._machines[id]
            if there.url and there.joined != hub_url:
                raise EdgefnError(
                    f"the box on {machine.box} is not of the fleet of {hub_url}, but "
                    f"{f'of that of {there.joined}' if there.joined else 'alone'}: stop it with "
                    "`edgefn down`, and it joins"
                )
            if there.url:
                self._tell(Step(machine=machine.box))
                continue
            self._tell(Step(machine=machine.box, text="start the box"))
            joins = there.joined != hub_url
            token = self._token(machine) if joins else ""
            asked[id] = self._actors[id].begin.remote(hub_url if joins else "", token)
        for id, reply in asked.items():
            self._said(self._machines[id], reply, Found, BEGIN_TIMEOUT_S)
            self._tell(Step(machine=self._machines[id].box))

    def _token(self, machine: RayMachine) -> str:
        # Two machines of one address are on one host: it is the hub's name alone.
        address = machine.address if machine.address != self._hub.address else ""
        reply = self._actors[self._hub.id].join_token.remote(machine.box, address)
        return self._said(self._hub, reply, Token, LOOK_TIMEOUT_S).text

    def _found(self, id: str, reply: Any) -> Found:
        machine = self._machines[id]
        try:
            return self._said(machine, reply, Found, LOOK_TIMEOUT_S)
        except _NoActor as error:
            ray.kill(self._actors[id])  # the next one may find edgefn
            raise EdgefnError(
                f"edgefn {edgefn.__version__} cannot be used on the machine {machine.box} "
                f"({error.message}): it has to be in the image, or the environment, that Ray runs "
                "in there: pip install 'edgefn[ray]'"
            ) from error

    def _said(self, machine: RayMachine, reply: Any, kind: type[Kind], timeout_s: float) -> Kind:
        try:
            said = _REPLY.decode(ray.get(reply, timeout=timeout_s))
        except ray.exceptions.GetTimeoutError:
            raise EdgefnError(
                f"the machine {machine.box} did not answer within {timeout_s:g} s"
            ) from None
        except (ray.exceptions.RayError, RuntimeError) as error:
            raise _NoActor(_in_short(error)) from error
        if isinstance(said, Refused):
            raise EdgefnError(f"the machine {machine.box}: {said.message}")
        if not isinstance(said, kind):
            raise EdgefnError(f"the machine {machine.box} said what was not asked: {said!r}")
        return said


class _NoActor(EdgefnError):
    """Ray cannot have our actor on a machine."""


def _actor(machine: RayMachine) -> Any:
    return (
        ray.remote(BoxKeeper)
        .options(
            name=f"box:{machine.id}",
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            max_restarts=-1,
            scheduling_strategy=NodeAffinitySchedulingStrategy(machine.id, soft=False),
        )
        .remote(msgspec.json.encode(machine))
    )


def _check(machine: RayMachine, found: Found) -> None:
    if not found.asks_token:
        raise ConfigError(
            f"the Ray of the machine {machine.box} asks nobody for a token: whoever reaches its "
            f"ports can run code there. Start the cluster with {AUTH_MODE}=token"
        )
    if found.version != edgefn.__version__:
        raise ConfigError(
            f"the machine {machine.box} has edgefn {found.version}, and this one "
            f"{edgefn.__version__}: all machines of a cluster need the same"
        )


def _url_of(hub: RayMachine, found: Found) -> str:
    """Returns where the other machines reach the hub."""
    if not found.secure_url:
        raise EdgefnError(f"the hub on {hub.box} listens nowhere: give it an address, --listen")
    port = address_of(found.secure_url)[1]
    host = f"[{hub.address}]" if ":" in hub.address else hub.address
    return f"https://{host}:{port}"


def _connect(address: str) -> None:
    refuse_open_ray(os.environ)
    os.environ[AUTH_MODE] = "token"
    loopback.keep()
    # Ray would wait for long where nobody is.
    if ":" in address and not asyncio.run(answers(address)):
        raise ConfigError(f"nobody answers at {address}, where the head of Ray should be")
    signal.alarm(CONNECT_TIMEOUT_S)  # unhandled, it ends the process
    try:
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ConfigError(
            f"no Ray cluster at {address!r} that this machine is one of and has the token of: "
            f"{_in_short(error)}"
        ) from error
    signal.alarm(0)


def _in_short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1].strip() if lines else ''}"


def main() -> int:
    """Prepares the cluster of the first argument; what Ray prints goes to standard error."""
    die_with(os.getppid())
    says_fd = os.dup(1)
    os.dup2(2, 1)
    logging.basicConfig(level=logging.WARNING)

    def tell(said: Said) -> None:
        os.write(says_fd, msgspec.json.encode(said) + b"\n")

    try:
        tell(prepare(sys.argv[1], tell))
    except EdgefnError as error:
        tell(Failed(error.message))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
