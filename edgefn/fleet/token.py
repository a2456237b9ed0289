"""The token with which a machine shows that it may be in the cluster, in a file of its own."""

import os
import secrets
from pathlib import Path
from typing import Final

_RANDOM_BYTES: Final = 32


def keep_token(file: Path, given: str) -> str:
    """Writes the token of a cluster where only this user can read it, and returns it.

    Args:
        file: Where Ray's processes read it.
        given: By the hub; empty: the cluster is this machine's, and its token is the one in the
            file, or a new one.

    Raises:
        OSError: It cannot be written.
    """
    kept = file.read_text().strip() if file.exists() else ""
    token = given or kept or secrets.token_hex(_RANDOM_BYTES)
    if token != kept:
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as text:
            text.write(token)
        new.replace(file)
    return token
