"""`python -m edgefn`, for where the script is not on the path."""

from edgefn.cli import main

main()
