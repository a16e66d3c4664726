#!/usr/bin/env bash
# uvloop 0.23.0 on Linux: a callback of `add_reader` may run before a `call_soon_threadsafe` that came first.
#
# Expected: a thread calls `loop.call_soon_threadsafe(note)` and only then writes to a pipe that the loop reads with
#   `add_reader`. The loop runs `note` first, as asyncio's own loop always does: the call is in its queue before the pipe
#   is readable. So a thread can announce a request to the loop, send it, and be sure that the loop knows of the request
#   when the answer arrives.
# Seen: of 20,000 such pairs some hundred to a few thousand run the other way round. The call wakes uvloop by a descriptor
#   of its own, and which of two ready descriptors is served first follows from the poll.
# Here: the loop expects the orphan reaper's answers in either order (supervisor/system/orphans.py); before, a reaper was
#   taken for dead on uvloop when its answer was read before the loop had been told to wait for it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "uvloop==${UVLOOP:-0.23.0}"
cat > "$dir/order.py" <<'PY'
import asyncio
import os
import sys
import threading
import time

import uvloop

PAIRS = 20_000


class Pairs:
    """Each pair is a call from a thread, then a byte in a pipe; counts those whose byte was read first."""

    def __init__(self, loop):
        self.loop = loop
        self.outgoing, self.incoming = os.pipe()
        self.seen, self.turned = [], 0
        self.over = threading.Event()
        loop.add_reader(self.outgoing, self.read)

    def read(self):
        os.read(self.outgoing, 1)
        self.saw("byte")

    def saw(self, what):
        self.seen.append(what)
        if len(self.seen) == 2:
            self.turned += self.seen[0] == "byte"
            self.seen.clear()
            self.over.set()

    def make(self):
        for _ in range(PAIRS):
            self.over.clear()
            time.sleep(0.0001)  # the loop is waiting
            self.loop.call_soon_threadsafe(self.saw, "call")
            os.write(self.incoming, b"x")
            self.over.wait()
        self.loop.call_soon_threadsafe(self.loop.stop)


def turned(loop):
    pairs = Pairs(loop)
    thread = threading.Thread(target=pairs.make)
    thread.start()
    loop.run_forever()
    thread.join()
    loop.close()
    return pairs.turned


ours, theirs = turned(asyncio.new_event_loop()), turned(uvloop.new_event_loop())
print(f"  of {PAIRS} pairs the byte came first: {ours} with asyncio, {theirs} with uvloop {uvloop.__version__}")
sys.exit(not (ours == 0 and theirs > 0))
PY
if "$dir/venv/bin/python" "$dir/order.py"; then
  echo "as described"
else
  echo "this has changed"
  exit 1
fi
