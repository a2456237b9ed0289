"""Exit statuses in words."""

import pytest

from edgefn.box.deaths import explain_exit, out_of_memory_kills


@pytest.mark.parametrize(
    ("status", "out_of_memory", "cause", "reason"),
    [
        (-11, False, "signal", "killed by SIGSEGV"),
        (-9, False, "signal", "killed by SIGKILL"),
        (-9, True, "out_of_memory", "killed by SIGKILL, most likely because memory ran out"),
        (-11, True, "signal", "killed by SIGSEGV"),
        (-200, False, "signal", "killed by signal 200"),
        (0, False, "exit", "exited with status 0"),
        (3, True, "exit", "exited with status 3"),
    ],
)
def test_an_exit_is_explained(status: int, out_of_memory: bool, cause: str, reason: str) -> None:
    """A signal has its name; SIGKILL is put down to memory only if the kernel killed for it."""
    assert explain_exit(status, out_of_memory=out_of_memory) == (cause, reason)


def test_the_kernel_counts_what_it_kills() -> None:
    """The count can be read here, or is 0."""
    assert out_of_memory_kills() >= 0
