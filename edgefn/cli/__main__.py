"""`python -m edgefn.cli`, the same as `edgefn`."""

from edgefn.cli import main

if __name__ == "__main__":
    main()
