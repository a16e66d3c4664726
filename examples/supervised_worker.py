"""A worker of plain multiprocessing code under a supervisor: a death costs one item, and the stream goes on.

    python examples/supervised_worker.py

The worker is what `multiprocessing.Process(target=worker, args=...)` would run: a function, two queues and an event.
Beside it a task of the daemon feeds it. Both are children of one tree, under the same rules.
"""

import asyncio
import os
from typing import Any

from actors.event import SafeEvent
from actors.queue import SafeQueue
from supervisor import FunctionSpec, Intensity, RestartPolicy, Supervisor, TaskSpec
from supervisor.bridge import AsyncQueueBridge

Item = dict[str, Any]
END = None  # the sentinel
COUNT = 200


def worker(items: SafeQueue, results: SafeQueue, done: SafeEvent) -> None:
    """Runs in a process of its own, in a new one after each death."""
    while (item := items.get()) is not END:
        if item["id"] % 100 == 50:
            os.abort()  # a fault in some library
        results.put({**item, "transformed": item["payload"] * 2})
    results.put(END)
    done.set()


async def feed(items: AsyncQueueBridge[Item | None]) -> None:
    """Runs on the daemon's loop."""
    for number in range(COUNT):
        await items.submit({"id": number, "payload": f"tick-{number} "})
    await items.submit(END)


async def main() -> None:
    done = SafeEvent()
    items: AsyncQueueBridge[Item | None] = AsyncQueueBridge(maxsize=16)
    results: AsyncQueueBridge[Item | None] = AsyncQueueBridge()
    async with items, results:
        args = (items.underlying_queue(), results.underlying_queue(), done)
        async with Supervisor(
            FunctionSpec(worker, args, restart=RestartPolicy.TRANSIENT),  # a return is its end, a death is not
            TaskSpec(feed, (items,), restart=RestartPolicy.TRANSIENT),
            intensity=Intensity(10, 5.0),
        ) as root:
            count = 0
            async for result in results:
                if result is END:
                    break
                count += 1
            print(root)
    print(f"{count} of {COUNT} items there and back; each death of the worker has cost the item that it had")


if __name__ == "__main__":
    asyncio.run(main())
