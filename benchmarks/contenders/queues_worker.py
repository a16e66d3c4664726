"""The process between two queues: what it imports, and no more."""

from __future__ import annotations

from multiprocessing.queues import Queue
from typing import Any

Item = dict[str, Any]


def serve(inbox: Queue[Item | None], outbox: Queue[Item]) -> None:
    """Runs in the other process, until None comes."""
    total = 0
    while (item := inbox.get()) is not None:
        if item["do"] == "take":
            outbox.put({"total": len(item["payload"])})
        elif item["do"] == "echo":
            outbox.put({"payload": item["payload"]})
        else:
            total += item["number"]
            if item["ask"]:
                outbox.put({"total": total})
