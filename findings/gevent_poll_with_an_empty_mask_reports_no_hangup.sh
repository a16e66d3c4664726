#!/usr/bin/env bash
# gevent 26.9.0, monkey-patched select.poll: a descriptor registered with an empty event mask is never reported.
#
# Expected: poll(2) reports POLLHUP and POLLERR whatever the mask says, and so does Python's select.poll. Registering a
#   pipe with mask 0 is the usual way to learn only that its other end is gone.
# Seen: after gevent.monkey.patch_all() the same program gets nothing, and waits until its timeout.
# Here: the end of a helper process is waited for on a pidfd with POLLIN, which gevent's poll reports.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check gevent==26.9.0
cat > "$dir/hangup.py" <<'PY'
import sys

if "patched" in sys.argv:
    from gevent import monkey

    monkey.patch_all()
import os
import select

reading, writing = os.pipe()
os.close(writing)  # the other end is gone
poll = select.poll()
poll.register(reading, 0)
print([event for _, event in poll.poll(1000)] == [select.POLLHUP])
PY
plain=$("$dir/venv/bin/python" "$dir/hangup.py")
patched=$("$dir/venv/bin/python" "$dir/hangup.py" patched)
echo "gevent 26.9.0: a hang-up is reported, plain: $plain, patched: $patched"
[ "$plain" = True ] && [ "$patched" = False ]
