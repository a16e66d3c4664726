#!/usr/bin/env bash
# aioprocessing 2.0.1: `await queue.coro_get()` that is cancelled, by a timeout for instance, takes the next item and drops it.
#
# Expected: as with `asyncio.Queue.get`, a get that is cancelled has taken nothing; the next get receives the next item.
# Seen: the thread that waits for it stays in the blocking `get`. It receives the next item that is put, its result goes
#   to a future that was cancelled, and the item is gone without an error. The item after it arrives.
# Here: `AsyncQueueBridge` loses no item on cancellation (tests/supervisor/bridge), and works with a queue of
#   multiprocessing as it is.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "aioprocessing==${AIOPROCESSING:-2.0.1}"
cat > "$dir/main.py" <<'PY'
import asyncio
import multiprocessing

import aioprocessing


def produce(queue, go):
    go.wait()
    for order in ("order 1", "order 2"):
        queue.put(order)


async def main():
    queue, go = aioprocessing.AioQueue(), multiprocessing.Event()
    producer = multiprocessing.Process(target=produce, args=(queue, go))
    producer.start()
    try:
        async with asyncio.timeout(0.5):
            await queue.coro_get()
    except TimeoutError:
        print("nothing within half a second, so it asks again")
    go.set()
    received = await queue.coro_get()
    print("the first that it receives:", received)
    producer.join()
    return received


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()) != "order 2")
PY
cd "$dir" && venv/bin/python main.py
