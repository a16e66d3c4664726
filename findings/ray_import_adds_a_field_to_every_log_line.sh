#!/usr/bin/env bash
# ray 2.60.0 with structlog 26.1.0: after `import ray` every log line of the program has one more field.
#
# Expected: an import that is not used changes nothing in the log of the program. Ray has loggers of its own.
# Seen: the import replaces the log record factory of `logging`. From then on each record of every logger carries
#   `_ray_timestamp_ns`; structlog's ExtraAdder, which takes what was given as `extra=`, writes it into each line. `created` of
#   each record is a later moment than `msecs`, too.
# Here: Ray is imported in a process of its own, never in the daemon; actors on Ray are the program's, with the program's imports.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0 structlog==26.1.0
cat > "$dir/program.py" <<'PY'
import io
import json
import logging
import sys

from structlog.processors import JSONRenderer
from structlog.stdlib import ExtraAdder, ProcessorFormatter

lines = io.StringIO()
handler = logging.StreamHandler(lines)
handler.setFormatter(
    ProcessorFormatter(
        foreign_pre_chain=[ExtraAdder()], processors=[ProcessorFormatter.remove_processors_meta, JSONRenderer()]
    )
)
log = logging.getLogger("shop")
log.addHandler(handler)
log.warning("before", extra={"order": 1})
import ray  # noqa: E402, F401 - its import is what is looked at

log.warning("after", extra={"order": 2})
before, after = map(json.loads, lines.getvalue().splitlines())
print(before, after, sep="\n")
sys.exit(set(after) - set(before) != {"_ray_timestamp_ns"})
PY
"$dir/venv/bin/python" "$dir/program.py"
