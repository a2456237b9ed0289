"""What a process of the platform says to its kernel."""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from typing import Final, TextIO

_PR_SET_PDEATHSIG: Final = 1
_OOM_SCORE: Final = 500  # of 1000: when memory runs out, a replica goes before the box does
_MIN_ADDRESS_SPACE_BYTES: Final = 4 * 1024**3

_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent_pid: int) -> None:
    """Lets the kernel kill this process at the death of its parent.

    Strictly, at the death of the thread that made it: parents fork from their main thread.
    """
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:  # it died before the request
        os.kill(os.getpid(), signal.SIGKILL)


def raise_descriptor_limit() -> None:
    """Allows as many descriptors as may be: every connection and every replica needs some."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def become_replica(*, parent_pid: int, log_fd: int) -> None:
    """Makes a process that was just forked one of its own.

    It gets a session of its own, so that a Ctrl-C in the box's terminal leaves it to be drained;
    leaves no core file; cannot ask for more memory than the machine has; and its standard output
    and error go to the log pipe, line by line.
    """
    os.setsid()
    die_with(parent_pid)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_address_space()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(str(_OOM_SCORE))
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    os.close(log_fd)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    # New ones, because those of the parent remember what kind of file they were opened on.
    sys.stdout = _writer(1)
    sys.stderr = _writer(2)


def limit_address_space() -> None:
    """Has the kernel refuse what could never fit, which is an error, rather than promise it.

    Not less than a few GiB: address space is reserved generously by allocators and thread stacks,
    and costs nothing until it is used.
    """
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = max(machine_bytes, _MIN_ADDRESS_SPACE_BYTES)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _writer(fd: int) -> TextIO:
    return open(
        fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )  # fmt: skip


def reseed() -> None:
    """Gives a fork its own random numbers where the library does not do so itself."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def listen(path: str) -> socket.socket:
    """Returns a Unix socket that listens at a path, for this user alone.

    Raises:
        OSError: The path is taken, too long, or not writable.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)  # before it listens, no one can have connected
        listener.listen(64)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {path!r}: {error}") from error
    return listener
