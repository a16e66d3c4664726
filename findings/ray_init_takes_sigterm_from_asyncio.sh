#!/usr/bin/env bash
# ray 2.60.0: after `ray.init()` SIGTERM ends an asyncio program in the middle, though the loop has a handler for it.
#
# Expected: `loop.add_signal_handler(SIGTERM, stop.set)` lets the program finish its work when it is told to end. A client
#   library that connects to a cluster leaves the signal alone, or calls the handler that was there.
# Seen: `ray.init()` sets a handler of its own with `signal.signal`. On SIGTERM the loop's handler is still called, since the
#   wake-up descriptor is, but Ray's raises SystemExit in whatever runs: the program ends with exit code 15, or by an abort
#   in Ray's own shutdown, and what was to be done after `stop` is not. A handler that is added after `ray.init()` holds.
# Here: the daemon connects to a cluster through a process of its own, so its signals stay its own. docs/how-to/cluster.md says
#   what to do in a program that calls `ray.init()` itself.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0
cat > "$dir/program.py" <<'PY'
import asyncio
import os
import signal
import sys

import ray


async def main(order: str) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    if order == "handler first":
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    if order == "ray first":
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    os.kill(os.getpid(), signal.SIGTERM)
    await stop.wait()
    await asyncio.sleep(1)  # what is still to be done
    print(order + ": the work was finished")


asyncio.run(main(sys.argv[1]))
PY
run() {
  code=0
  { "$dir/venv/bin/python" "$dir/program.py" "$1" > "$dir/out"; } 2>/dev/null || code=$?
  echo "$1: exit code $code"
  cat "$dir/out"
}
run "ray first"
grep -q finished "$dir/out" && [ "$code" = 0 ]
run "handler first"
! grep -q finished "$dir/out" && [ "$code" != 0 ]
