#!/usr/bin/env bash
# uvicorn 0.54.0 on Linux: nothing behind `await server.serve()` runs after SIGTERM, no `finally` and no `async with`.
#
# Expected: a program that runs uvicorn inside its own event loop, `await uvicorn.Server(config).serve()`, gets control
#   back when SIGTERM has shut the server down gracefully, and then closes what else it has: a database, its workers.
# Seen: the server shuts down gracefully, lifespan included, puts back the signal handlers that were there before it, and
#   raises the signal once more inside `serve()`. Where the program had no handler of its own, that ends the process at
#   once. With SIGINT the same is a KeyboardInterrupt, and the cleanup runs.
# Here: docs/how-to/web-frameworks.md, "The server inside your program", leaves the signals to the tree and makes the
#   server one of its children; tests/crossings/test_servers.py runs that.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "uvicorn==${UVICORN:-0.54.0}"
cat > "$dir/daemon.py" <<'PY'
import asyncio
import os
import signal
import sys

import uvicorn


async def app(scope, receive, send):
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            print("  the lifespan has ended", flush=True)
            return


async def stop(server):
    while not server.started:
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))


async def main():
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    stopping = asyncio.create_task(stop(server))
    try:
        await server.serve()
        await stopping
    finally:
        print("  cleanup", flush=True)


asyncio.run(main())
PY
for name in SIGINT SIGTERM; do
    echo "after $name:"
    code=0
    (exec "$dir/venv/bin/python" "$dir/daemon.py" "$name") > "$dir/$name" 2> /dev/null || code=$?
    cat "$dir/$name"
    echo "  exit code $code"
done
grep -q cleanup "$dir/SIGINT"
grep -q "lifespan has ended" "$dir/SIGTERM"
! grep -q cleanup "$dir/SIGTERM"
