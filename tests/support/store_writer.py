"""A process that owns a store and writes into it until it is killed: `python -m tests.support.store_writer PATH SYNC`.

Each line it prints is the number of a group that is acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import sys

from supervisor.store import SQLiteStore
from supervisor.store.writes import Accept, SaveState, Settle
from tests.support.stored import row


async def write(path, sync):
    store = SQLiteStore(path, sync=sync)
    await store.open()
    number = (await store.recover("ledger")).last_seq
    while True:
        commits = []
        for _ in range(20):
            number += 2
            commits.append(store.commit(group(number)))
        await asyncio.gather(*commits)
        os.write(1, b"%d\n" % number)


def group(number):
    """Two messages and the state after them; the two of long before end."""
    return [
        Accept("ledger", [row(number - 1), row(number)]),
        Settle("ledger", [(number - 101, number - 100)] if number > 100 else []),
        SaveState("ledger", "", "S", b"%d" % number, 1.0),
    ]


if __name__ == "__main__":
    asyncio.run(write(*sys.argv[1:]))
