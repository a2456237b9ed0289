"""The container files: what they copy is there, what they run is ours, and they run as nobody."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from edgefn.access.needs import Need
from edgefn.cli.up import HUB_LISTENS_AT
from edgefn.config import resolve
from edgefn.gateway.routes import ROUTES

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "container"
FILES = [FOLDER / "Containerfile", FOLDER / "Containerfile.ray"]
KNOWN = "ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK RUN USER VOLUME WORKDIR"


def instructions(path: Path) -> list[tuple[str, str]]:
    """Returns the instructions of a container file, each in one piece."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(line.split()[0], line.split(None, 1)[1]) for line in joined.splitlines() if line]


def only(path: Path, name: str) -> str:
    """Returns the argument of the last instruction of a name."""
    return [argument for one, argument in instructions(path) if one == name][-1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_instructions_are_known_and_sources_exist(path: Path) -> None:
    """Relative to the root of the repository, from which it is built."""
    for name, argument in instructions(path):
        assert name in KNOWN.split(" "), name
        if name == "COPY":
            for source in argument.split()[:-1]:
                assert (ROOT / source).exists(), source
        for source in re.findall(r"--mount=type=bind,source=([^,]+)", argument):
            assert (ROOT / source).exists(), source


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_runs_as_nobody_and_brings_no_compiler(path: Path) -> None:
    """The last user is one by number, as Kubernetes wants to see it."""
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", only(path, "USER"))
    installed = " ".join(argument for name, argument in instructions(path) if name == "RUN")
    assert not re.search(r"\b(gcc|g\+\+|make|build-essential|cmake)\b", installed)


def test_its_settings_and_ports_are_those_of_a_box() -> None:
    """What the box would refuse or not use is not in the image."""
    lean = FILES[0]
    environ = dict(pair.split("=", 1) for pair in only(lean, "ENV").split())
    resolved = resolve({k: v for k, v in environ.items() if k.startswith("EDGEFN_")})
    assert str(resolved.state_dir).startswith(only(lean, "VOLUME") + "/")
    secure = HUB_LISTENS_AT.rpartition(":")[2]
    assert only(lean, "EXPOSE").split() == [str(resolved.port), secure]
    assert json.loads(only(lean, "ENTRYPOINT")) + json.loads(only(lean, "CMD")) == ["edgefn", "up"]


def test_its_health_check_asks_what_anyone_may() -> None:
    """And is a program that compiles."""
    command = json.loads(only(FILES[0], "HEALTHCHECK").partition(" CMD ")[2])
    compile(command[-1], "health check", "exec")
    path = re.search(r"http://127\.0\.0\.1:8080(/\w+)", command[-1])
    assert path is not None
    assert path[1] in {one.path for one in ROUTES if one.need is Need.NOTHING}


def test_what_it_installs_is_declared() -> None:
    """The extra of the image with Ray is one of the project's."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = re.findall(r"edgefn\[(\w+)\]", FILES[1].read_text())
    assert asked and set(asked) <= set(extras["optional-dependencies"])
