"""Installs the LiteRT converter: `python -m edgefn.compress.converter`."""

import sys

from edgefn.compress.converter.environment import ensure
from edgefn.errors import EdgefnError


def main() -> int:
    """Installs it unless it is there, prints where it is, and returns the exit code."""
    try:
        python = ensure(lambda share: print(f"{share:4.0%}", file=sys.stderr))
    except EdgefnError as error:
        print(error.message, file=sys.stderr)
        return 1
    print(python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
