#!/usr/bin/env bash
# msgspec 0.23.0, CPython 3.11 and later: its import costs more memory in an environment that has typing_extensions.
#
# Expected: msgspec has no dependency, so what else is installed makes no difference to a process that imports it. All it takes
#   from typing_extensions is in `typing` from Python 3.11 on.
# Seen: where typing_extensions is installed, `import msgspec` imports it, and with it `inspect`, `dis`, `tokenize` and `ast`. A
#   process is a mebibyte larger, and so is each of a pool's workers. Many packages bring typing_extensions.
# Here: an actor's process imports msgspec without it, where nothing else has imported it yet: a tenth of its memory.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.23.0
look() {
  "$dir/venv/bin/python" -I - "$1" <<'PY'
import sys

before = set(sys.modules)
import msgspec

came = {"inspect", "dis", "tokenize"} & (set(sys.modules) - before)
private = sum(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Private"))
print(f"msgspec {msgspec.__version__} {sys.argv[1]}: {sorted(came)}, {private} KiB")
sys.exit(bool(came) != (sys.argv[1] == "with typing_extensions"))
PY
}
look "alone"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check typing_extensions==4.16.0
look "with typing_extensions"
