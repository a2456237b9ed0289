"""What a machine must not be told that is to be part of a Ray cluster. Pure."""

from collections.abc import Mapping
from typing import Final

from edgefn.errors import ConfigError

AUTH_MODE: Final = "RAY_AUTH_MODE"


def refuse_open_ray(environ: Mapping[str, str]) -> None:
    """Raises ConfigError if the environment turns off that Ray asks for a token."""
    mode = environ.get(AUTH_MODE, "")
    if mode.lower() not in ("", "token"):
        raise ConfigError(
            f"{AUTH_MODE}={mode}: whoever reaches a port of Ray's could run code on this machine. "
            f"Unset it, or set {AUTH_MODE}=token"
        )
