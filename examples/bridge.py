"""An asyncio stream through a worker process and back: no thread to manage, no lock to lose.

    python examples/bridge.py

Items flow from an async generator into a spawned process, which is plain multiprocessing code, and come back
to be read asynchronously. A sentinel ends the stream; two events say when the worker is ready and when done.
"""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from typing import Any

from actors.event import SafeEvent
from actors.queue import SafeQueue
from supervisor.bridge import AsyncQueueBridge
from supervisor.bridge.event import await_event

Item = dict[str, Any]
END = None  # the sentinel


def worker(items: SafeQueue, results: SafeQueue, ready: SafeEvent, done: SafeEvent) -> None:
    """Runs in its own process: transform every item until the sentinel comes, and pass that on."""
    ready.set()
    while (item := items.get()) is not END:
        results.put({**item, "transformed": item["payload"] * 2})
    results.put(END)
    done.set()


async def ingest(count: int) -> AsyncIterator[Item]:
    """The stream: a socket, a websocket, a market feed."""
    for number in range(count):
        yield {"id": number, "payload": f"tick-{number} "}
        await asyncio.sleep(0.001)


async def send(items: AsyncQueueBridge[Item | None]) -> None:
    async for item in ingest(200):
        await items.submit(item)  # waits while 16 items are on their way: back-pressure
    await items.submit(END)


async def main() -> None:
    ready, done = SafeEvent(), SafeEvent()
    items: AsyncQueueBridge[Item | None] = AsyncQueueBridge(maxsize=16)
    results: AsyncQueueBridge[Item | None] = AsyncQueueBridge()
    async with items, results:
        args = (items.underlying_queue(), results.underlying_queue(), ready, done)
        process = multiprocessing.get_context("spawn").Process(target=worker, args=args)
        await asyncio.to_thread(process.start)
        if not await await_event(ready, timeout=30):
            raise TimeoutError("the worker did not start")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send(items))
            count = 0
            async for result in results:
                if result is END:
                    break
                count += 1
                if result["id"] % 50 == 0:
                    print(result)

        await await_event(done, timeout=30)
        await asyncio.to_thread(process.join)
    print(f"{count} items there and back, worker exit code {process.exitcode}")


if __name__ == "__main__":
    asyncio.run(main())
