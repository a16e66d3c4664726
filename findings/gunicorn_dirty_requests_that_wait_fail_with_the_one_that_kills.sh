#!/usr/bin/env bash
# gunicorn 27.0.1, dirty arbiter: when a dirty worker is killed, the requests that wait behind the one it handles fail too.
#
# Expected: the arbiter holds a queue for each dirty worker and starts a new worker for one that dies. A request that the
#   dead worker never got can be handled by the next one; only the one that was being handled has an unknown fate.
# Seen: all of them end with DirtyWorkerError. The one under way says "Worker communication failed: 0 bytes read on a
#   total of 16 expected bytes", those that had not begun "Worker communication failed: No socket for worker N": the
#   type is the same, so a caller that wants to send again cannot tell by it whether its request had begun.
# Here: docs/comparison.md names it. What had not begun is handled by the next life, in order; `ActorCrashed.started` says
#   whether a message had begun.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "gunicorn==${GUNICORN:-27.0.1}"
cat > "$dir/shop.py" <<'PY'
import os
import time

from gunicorn.dirty import DirtyApp


class Shop(DirtyApp):
    def order(self, number, seconds):
        with open("begun", "a") as file:
            file.write(f"{number}\n")
        time.sleep(seconds)
        return number

    def pid(self):
        return os.getpid()


def web(environ, start_response):
    start_response("404 Not Found", [])
    return []
PY
cat > "$dir/main.py" <<'PY'
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from gunicorn.dirty.client import DirtyClient

here = Path.cwd()
options = ["--dirty-app", "shop:Shop", "--dirty-workers", "1", "--bind", f"unix:{here}/web", "--log-level", "critical"]
server = subprocess.Popen(
    [sys.executable, "-m", "gunicorn", *options, "shop:web"],
    env={**os.environ, "TMPDIR": str(here)},
    stderr=subprocess.DEVNULL,
)


def do(*what):
    (socket,) = here.glob("gunicorn-dirty-*/arbiter.sock")
    return DirtyClient(str(socket), 60).execute("shop:Shop", *what)


def wait_for(what):
    deadline = time.monotonic() + 60
    while True:
        try:
            return what()
        except Exception:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def order(number, seconds):
    try:
        print(f"  order {number}: {do('order', number, seconds)}")
    except Exception as error:
        failed.append(number)
        print(f"  order {number}: {type(error).__name__}: {str(error).split(': {')[0]}")


def begun():
    return (here / "begun").read_text().split()


failed = []
try:
    worker = wait_for(lambda: do("pid"))
    first = threading.Thread(target=order, args=(1, 60))
    first.start()
    wait_for(begun)
    others = [threading.Thread(target=order, args=(number, 0)) for number in (2, 3)]
    for thread in others:
        thread.start()
    time.sleep(1)  # they wait in the arbiter
    os.kill(worker, signal.SIGKILL)
    for thread in (first, *others):
        thread.join()
    print("begun:", begun(), " failed:", sorted(failed))
finally:
    server.terminate()
    server.wait()
raise SystemExit(begun() != ["1"] or sorted(failed) != [1, 2, 3])
PY
cd "$dir" && venv/bin/python main.py
