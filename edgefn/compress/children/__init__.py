"""Processes of a build in which other people's code runs: theirs may print, hang, crash or exit."""
