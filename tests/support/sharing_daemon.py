"""A daemon whose values in shared memory are everywhere: python -m tests.support.sharing_daemon FOLDER.

Held by itself, kept by an actor, in the handler of another one, and in a mailbox. It prints the numbers of their files
and waits to be killed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import numpy as np

from actors import Shared
from supervisor import ChildSpec, Supervisor
from tests.support.sharers import SIZE, Hold, Keep, Summer, Total


async def main(folder: Path) -> None:
    async with Supervisor(ChildSpec(Summer, name="keeper"), ChildSpec(Summer, name="holder")) as root:
        values = [Shared.of(np.ones(SIZE // 8)) for _ in range(4)]
        await root["keeper"].ask(Keep(values[0]), timeout=None)
        never = folder / "never"
        root["holder"].tell_nowait(Hold(values[1], str(never)))
        root["holder"].tell_nowait(Total(values[2]))
        while not never.with_suffix(".begun").exists():
            await asyncio.sleep(0.01)
        inodes = [os.fstat(value.carried().fileno()).st_ino for value in values]
        sys.stdout.write(" ".join(map(str, inodes)) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
