"""A daemon with a durable actor without state, which kills itself: python -m tests.support.notebook_daemon FOLDER SIZE.

The first run tells the notebooks a few notes, waits until their processes stand in handlers, and dies. The second one
writes what became of the messages to `result`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec

from supervisor import ChildSpec, Intensity, Supervisor
from supervisor.store import SQLiteStore
from tests.support.ledgers import HoldNote, Note, Notebook


async def main(folder, size):
    spec = ChildSpec(Notebook, name="book", args=(str(folder / "notes"),), durable=True, size=size)
    store = SQLiteStore(folder / "shop.db")
    first = not (folder / "shop.db").exists()
    root = Supervisor(spec, store=store, intensity=Intensity.unlimited())
    letters = root.dead_letters()
    async with root:
        if first:
            for n in range(3):
                await root["book"].tell(Note(f"done {n}"))
            for n in range(size):
                await root["book"].tell(HoldNote(f"begun {n}", str(folder / "gate")))
            await root["book"].tell(Note("waits"))
            notes = folder / "notes"
            while not notes.exists() or len(notes.read_text().splitlines()) < 3 + size:
                await asyncio.sleep(0.01)
            await root["book"]._mailbox.stored.settled()
            os.kill(os.getpid(), signal.SIGKILL)
        dead = [await anext(letters) for _ in range(size)]
        while not root["book"]._mailbox.drained:
            await asyncio.sleep(0.01)
        kept = await store.dead_letters("book", 10)
        result = [sorted((one.reason, one.message.text) for one in dead), sorted(one.reason for one in kept)]
        (folder / "result").write_bytes(msgspec.json.encode(result))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
