"""Small files that decide what is trusted: nobody but their owner may change them."""

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from edgefn.bundle.content import open_regular
from edgefn.bundle.store import sync_folder
from edgefn.errors import ConfigError

MAX_BYTES: Final = 64 * 1024
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read_own_file(path: Path, *, refused: int, max_bytes: int = MAX_BYTES) -> str | None:
    """Returns the text of a file; None if there is none.

    Args:
        path: Of the file; not a link.
        refused: Permission bits that it must not have.
        max_bytes: It may have so many.

    Raises:
        ConfigError: It is another user's, has such a permission, or cannot be read.
    """
    try:
        file = open_regular(path, os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise ConfigError(f"{path} cannot be read: {reason}") from error
    with file:
        status = os.fstat(file.fileno())
        if status.st_size > max_bytes:
            raise ConfigError(f"{path} has {status.st_size} bytes; at most {max_bytes} may be")
        _check_owner(path, status, refused)
        _check_owner(path.parent, path.parent.stat(), _OTHERS_WRITE)
        return file.read(max_bytes).decode(errors="replace")


def _check_owner(path: Path, status: os.stat_result, refused: int) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"{path} belongs to another user; it must be yours")
    if not status.st_mode & refused:
        return
    is_secret = bool(refused & stat.S_IRGRP)
    found = f"{path} has mode {stat.S_IMODE(status.st_mode):04o}, so that others could misuse it"
    what = f"{found}: chmod {'go-rwx' if is_secret else 'go-w'} {path}"
    if is_secret:
        what += ". If others may have read it, make another: edgefn key new --force"
    raise ConfigError(what)


def write_own_file(path: Path, text: str, *, replace: bool) -> bool:
    """Writes a file that its owner alone can read, all at once and durably.

    Args:
        path: Of the file; its folder is made if there is none, for the owner alone.
        text: All of it.
        replace: Whether a file that is there already is replaced.

    Returns:
        Whether it was written: false if there is one that is not to be replaced.

    Raises:
        ConfigError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, _NEW, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            if replace:
                os.rename(temporary, path)
            else:
                os.link(temporary, path)  # unlike a rename it never replaces
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        sync_folder(path.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    return True
