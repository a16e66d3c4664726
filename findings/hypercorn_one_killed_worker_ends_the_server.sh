#!/usr/bin/env bash
# hypercorn 0.18.0 on Linux: with `--workers 2`, the kill of one worker ends the whole server.
#
# Expected: as with uvicorn and gunicorn, a worker that the kernel's OOM killer or an operator ends with SIGKILL is
#   replaced, and the others serve on.
# Seen: the main process stops the other worker as well and ends; the port refuses connections. Its exit code is 0 when
#   the other worker takes a moment to stop, else 241 (-15, its own SIGTERM to that worker): never that of the kill. So
#   `Restart=on-failure` of systemd and its like may leave the service down.
# Here: docs/how-to/where-it-runs.md says so. The trees of all workers end with them; let what supervises the server
#   start it again whatever its exit code was.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "hypercorn==${HYPERCORN:-0.18.0}"
cat > "$dir/app.py" <<'PY'
import os


async def app(scope, receive, send):
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
PY
cat > "$dir/main.py" <<'PY'
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request


def ask():
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        return int(answer.read())


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
command = [sys.executable, "-m", "hypercorn", "app:app", "--workers", "2", "--bind", f"127.0.0.1:{port}"]
server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
try:
    deadline = time.monotonic() + 60
    while True:
        try:
            worker = ask()
            break
        except OSError:
            assert time.monotonic() < deadline, "it does not start"
            time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    try:
        print("one of two workers is killed; the server ends with exit code", server.wait(30))
    except subprocess.TimeoutExpired:
        print("one of two workers is killed; a worker answers:", ask() != worker)
finally:
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
raise SystemExit(server.returncode not in (0, 241))
PY
cd "$dir" && venv/bin/python main.py
