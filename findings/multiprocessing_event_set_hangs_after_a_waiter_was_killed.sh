#!/usr/bin/env bash
# CPython 3.11.7 to 3.15.2, multiprocessing: once a process was killed while it waited for an Event, `set()` never returns.
#
# Expected: `event.set()` returns at once, whoever waits. The documentation says that a killed process may corrupt a queue or
#   a lock that it holds; a process in `event.wait()` holds none.
# Seen: `set()` waits for each waiter to confirm that it woke up. The killed one never does, so `set()` blocks for ever in the
#   daemon, with the lock of the event: `is_set()` and `wait(timeout=1)` of all other processes block as well.
# Here: `SafeEvent` takes its place. `await_event` reads the flag of a stock Event and never calls its `wait()`.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cat > "$dir/program.py" <<'PY'
import multiprocessing
import os
import signal
import sys
import threading
import time


def returns(call) -> bool:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(3)
    return not thread.is_alive()


if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    event = spawn.Event()
    waiter = spawn.Process(target=event.wait)
    waiter.start()
    time.sleep(3)
    os.kill(waiter.pid, signal.SIGKILL)
    waiter.join()
    seen = (waiter.exitcode, returns(event.set), returns(event.is_set), returns(lambda: event.wait(1)))
    print("the waiter's exit code: {}; returned within 3 s: set() {}, is_set() {}, wait(1) {}".format(*seen))
    sys.exit(seen != (-9, False, False, False))
PY
"${PYTHON:-python3}" "$dir/program.py"
