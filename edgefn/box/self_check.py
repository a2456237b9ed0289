"""Whether an environment has what its lock says, and replicas can start in it.

    <its python> -P self_check.py <modules, by comma> <name==version>...

It is run by its path, in that environment: it says on the standard output what is wrong, and
nothing if all is well.
"""

import importlib
import sys
from importlib import metadata


def problems(modules: list[str], wanted: list[str]) -> list[str]:
    """Returns what is wrong.

    Args:
        modules: Must be importable.
        wanted: Must be installed in just these versions, each as NAME==VERSION.
    """
    found = []
    for each in wanted:
        name, _, version = each.partition("==")
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "nothing"
        if installed != version:
            found.append(f"{name} {version} should be there, and {installed} is")
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever a package does when it is imported
            found.append(
                f"{module}, which every replica needs, does not work with it: "
                f"{type(error).__name__}: {error}"
            )
            break
    return found


if __name__ == "__main__":
    for problem in problems(sys.argv[1].split(","), sys.argv[2:]):
        print(" ".join(problem.split()))
