#!/bin/sh
# Makes a virtual environment where `python -m venv` alone could not: Debian and Ubuntu ship it apart.
# sh requirements/venv.sh PYTHON FOLDER
rm -rf "$2"
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null && "$1" -m venv "$2" && exit 0
    rm -rf "$2"
fi
echo "$1 -m venv does not work here; on Debian and Ubuntu: apt install python3-venv" >&2
exit 1
