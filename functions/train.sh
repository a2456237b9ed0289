#!/bin/sh
# Trains and evaluates the ready-made functions again: sh functions/train.sh [PYTHON]
set -eu
cd "$(dirname "$0")"
python=${1:-python3}
case $python in */*) python=$(cd .. && realpath "$python") ;; esac
for function in diagnosis monitoring voice; do
    for step in train evaluate; do
        echo "== $function: $step"
        (cd "$function" && "$python" "$step.py")
    done
done
