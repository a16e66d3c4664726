#!/usr/bin/env bash
# pytest 9.2.0 with pytest-xdist 3.8.0: one recorded property whose type is a subclass of a plain one ends the whole run.
#
# Expected: `record_property("counts", Counter("aab"))` passes with `-n 1` as it does without: a Counter is a dict, and a
#   StrEnum member a str. At worst that test fails.
# Seen: what crosses from a worker to the controller is serialized by exact type (execnet). The worker ends with an
#   internal error ("can't serialize <class 'collections.Counter'>"), the run with exit code 3, and tests that it still had are not run.
# Here: properties that tests record are plain text.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check pytest==9.2.0 pytest-xdist==3.8.0
cat > "$dir/test_property.py" <<'PY'
from collections import Counter


def test_that_records(record_property):
    record_property("counts", Counter("aab"))


def test_that_comes_after():
    pass
PY
cd "$dir"
alone=0; "$dir/venv/bin/python" -m pytest -q test_property.py > alone.txt 2>&1 || alone=$?
beside=0; "$dir/venv/bin/python" -m pytest -q -n 1 test_property.py > beside.txt 2>&1 || beside=$?
echo "exit code without -n: $alone, with -n 1: $beside; $(grep -o "can't serialize <.*" beside.txt | head -1)"
[ "$alone" = 0 ] && [ "$beside" = 3 ] && grep -q "can't serialize <class 'collections.Counter'>" beside.txt
