"""Scenario files: TOML, read into `edgefn.simulate.scenario.Scenario` and checked as a whole."""

import re
import tomllib
from pathlib import Path
from typing import Final

import msgspec

from edgefn.errors import ConfigError
from edgefn.simulate.checks import problems_of
from edgefn.simulate.scenario import Scenario

_AT: Final = re.compile(r"(?P<what>.*) - at `\$\.?(?P<where>.*)`", re.DOTALL)


def read_scenario(path: Path) -> Scenario:
    """Returns the scenario of a file, with the paths of its traces made whole.

    Raises:
        ConfigError: It cannot be read, has a field that does not fit, or contradicts itself; says
            which field, what is there, and what was expected.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the scenario {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    content.setdefault("name", path.stem)
    try:
        scenario = msgspec.convert(content, Scenario, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_place(str(error))}") from error
    problem = next(problems_of(scenario), "")
    if problem:
        raise ConfigError(f"{path}: {problem}")
    return _with_whole_paths(scenario, path.parent)


def _place(message: str) -> str:
    """Returns msgspec's message with the field in front."""
    found = _AT.fullmatch(message)
    if found is None:
        return message
    what = found["what"]
    return f"{found['where'] or 'the file'}: {what[:1].lower()}{what[1:]}"


def _with_whole_paths(scenario: Scenario, folder: Path) -> Scenario:
    functions = []
    for each in scenario.functions:
        name, separator, key = each.trace.partition("#")
        trace = f"{folder / name}{separator}{key}" if name else ""
        functions.append(msgspec.structs.replace(each, trace=trace))
    return msgspec.structs.replace(scenario, functions=tuple(functions))
