"""The keys of a user: one private key to sign with, and the public half for the box to read.

    <configuration folder>/key        the private key, 64 hex digits; nobody else may read it
    <configuration folder>/key.pub    the public key, 64 hex digits

A key never travels on a command line, where every process of the machine could read it.
"""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edgefn.bundle.private_file import read_own_file, write_own_file
from edgefn.config import own_folder
from edgefn.errors import ConfigError
from edgefn_runtime.manifest import DIGEST_PATTERN

KEY_FILE: Final = "key"
PUBLIC_KEY_FILE: Final = "key.pub"

_HEX_KEY: Final = re.compile(DIGEST_PATTERN)
_OTHERS_READ: Final = stat.S_IRWXG | stat.S_IRWXO


class SigningKey:
    """A private key. It is never shown.

    Attributes:
        public: Its public key, in hex.
    """

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> bytes:
        """Returns the signature of a message."""
        return self._private.sign(message)


def config_dir(environ: Mapping[str, str]) -> Path:
    """Returns the folder of the user's keys: below XDG_CONFIG_HOME, or ~/.config."""
    return own_folder(environ, "XDG_CONFIG_HOME", "~/.config")


def own_key(folder: Path) -> SigningKey:
    """Returns the user's key; makes one on first use.

    Args:
        folder: As `config_dir` returns it.

    Raises:
        ConfigError: Others could read or replace the key, or it is damaged.
    """
    path = folder / KEY_FILE
    text = read_own_file(path, refused=_OTHERS_READ)
    if text is None:
        # Another process may be first; whoever is, its key is the one.
        write_own_file(path, _new_seed(), replace=False)
        text = read_own_file(path, refused=_OTHERS_READ) or ""
    key = SigningKey(bytes.fromhex(_checked(text, path)))
    with suppress(ConfigError):  # a damaged one is written anew, too
        if read_public_key(folder) == key.public:
            return key
    _publish(key, folder)
    return key


def new_key(folder: Path, *, replace: bool = False) -> SigningKey:
    """Makes a key for the user, and returns it.

    Args:
        folder: As `config_dir` returns it; made if there is none.
        replace: Whether a key that is there already is given up.

    Raises:
        ConfigError: There is a key already, or the folder cannot be written.
    """
    path = folder / KEY_FILE
    if not write_own_file(path, _new_seed(), replace=replace):
        raise ConfigError(
            f"{path} exists: with another key, boxes that trust this one would refuse what you "
            "build. To give it up all the same: edgefn key new --force"
        )
    return own_key(folder)


def read_public_key(folder: Path) -> str | None:
    """Returns the public key of the user, in hex; None if there is no key yet.

    Raises:
        ConfigError: Others could replace it, or it is damaged.
    """
    path = folder / PUBLIC_KEY_FILE
    text = read_own_file(path, refused=stat.S_IWGRP | stat.S_IWOTH)
    return None if text is None else _checked(text, path)


def is_public_key(text: str) -> bool:
    """Whether a text is written like a public key: 64 hex digits in lower case."""
    return _HEX_KEY.fullmatch(text) is not None


def fingerprint(public: str) -> str:
    """Returns what people compare: the first 16 hex digits of a public key's SHA-256, in groups."""
    digits = hashlib.sha256(bytes.fromhex(public)).hexdigest()
    return "-".join(digits[start : start + 4] for start in range(0, 16, 4))


def _new_seed() -> str:
    return f"{os.urandom(32).hex()}\n"


def _publish(key: SigningKey, folder: Path) -> None:
    write_own_file(folder / PUBLIC_KEY_FILE, f"{key.public}\n", replace=True)


def _checked(text: str, path: Path) -> str:
    stripped = text.strip()
    if is_public_key(stripped):
        return stripped
    what = f"{path} is damaged: it should be 64 hex digits"
    if path.name == PUBLIC_KEY_FILE:
        raise ConfigError(f"{what}. To have it written anew from the private key: edgefn key")
    raise ConfigError(f"{what}. Restore it, or make another key: edgefn key new --force")
