"""Before a deployment to a Ray cluster: a box on each of its machines."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Final

import msgspec

from edgefn.cli.deployment import Steps, steps
from edgefn.cli.output import note, plain
from edgefn.desired.ray import refuse_open_ray
from edgefn.errors import ConfigError, EdgefnError
from edgefn.fleet.words import Failed, Prepared, Said, Step

_END_TIMEOUT_S: Final = 10.0
_SAID: Final = msgspec.json.Decoder(Said)


def boxes_on(cluster: str) -> Prepared:
    """Has a box run on each machine of a Ray cluster, and shows how far each is.

    Args:
        cluster: Address of its head, or `auto`.

    Raises:
        ConfigError: Ray is missing here, or would not ask for a token.
        EdgefnError: There is no such cluster, or a machine that cannot have a box.
    """
    refuse_open_ray(os.environ)
    if importlib.util.find_spec("ray") is None:
        raise ConfigError("Ray is not installed here: pip install 'edgefn[ray]'")
    with tempfile.TemporaryFile() as log, _asking(cluster, log) as answers, steps() as shown:
        prepared = _follow(answers, shown)
        if prepared is None:
            log.seek(0)
            said = log.read().decode(errors="replace").strip() or "it did not answer"
            raise EdgefnError(
                f"the connection to the Ray cluster at {cluster!r} ended: {said.splitlines()[-1]}"
            )
    note(plain(f"boxes run on the machines of the Ray cluster: {', '.join(prepared.boxes)}"))
    return prepared


@contextmanager
def _asking(cluster: str, log: IO[bytes]) -> Iterator[IO[bytes]]:
    """Runs the process that speaks with Ray, and gives what it says."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "edgefn.fleet.existing", cluster],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.stdout.close()
        process.terminate()
        try:
            process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _follow(answers: IO[bytes], shown: Steps) -> Prepared | None:
    """Returns what it came to; None: the answers ended before.

    Raises:
        EdgefnError: It failed, by what was said.
    """
    with ExitStack() as under_way:
        machines: dict[str, ExitStack] = {}
        for line in answers:
            said = _SAID.decode(line)
            if isinstance(said, Prepared):
                return said
            if isinstance(said, Failed):
                raise EdgefnError(said.message)
            _show(said, machines, shown, under_way)
    return None


def _show(said: Step, machines: dict[str, ExitStack], shown: Steps, under_way: ExitStack) -> None:
    if said.machine in machines:
        machines.pop(said.machine).close()
    if said.text:
        machine = machines[said.machine] = under_way.enter_context(ExitStack())
        machine.enter_context(shown.step(f"{said.machine}: {said.text}"))
