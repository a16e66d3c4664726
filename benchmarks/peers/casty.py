"""casty: a client, and a node of one actor for each worker, which is a cluster of its own.

casty has no worker processes and restarts none: the nodes are started here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from datetime import timedelta

from casty import Client, Unavailable

from benchmarks.absent import Absent
from benchmarks.awaiting import AwaitedContender
from benchmarks.contender import Figures
from benchmarks.peers.casty_node import LIMITS, Add, Echo, Pid, Take, adder

PATIENCE = 30.0  # seconds
APART = "each worker is a cluster of its own here"
NODE = "from benchmarks.peers.casty_node import main; main()"  # so that its module has the same name on both sides


class CastyWorker:
    """A node with one actor, and the client that asks it."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        self._node = subprocess.Popen(
            [sys.executable, "-c", NODE, self._address], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._node.pid

    async def open(self) -> None:
        """Return when the actor has answered."""
        assert self._node.stdout is not None
        async with asyncio.timeout(PATIENCE):
            await asyncio.to_thread(
                self._node.stdout.readline
            )  # it listens: a client that is refused waits for seconds
            self._client = Client(seeds=(self._address,), limits=LIMITS, ask_timeout=timedelta(seconds=PATIENCE))
            await self._client.__aenter__()
            self._ref = self._client.ref(adder, "adder")
            assert await self._ref.ask(Pid()) == self.pid

    async def close(self) -> None:
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.close()
        self._node.stdout.close()
        with contextlib.suppress(Unavailable, OSError):
            await self._client.__aexit__(None, None, None)
        await asyncio.to_thread(self._node.wait)

    async def ask(self) -> object:
        return await self._ref.ask(Add(1))

    async def tell(self) -> None:
        self._ref.tell(Add(1))

    async def take(self, payload: bytes) -> int:
        length: int = await self._ref.ask(Take(payload))
        return length

    async def echo(self, payload: bytes) -> int:
        return len(await self._ref.ask(Echo(payload)))


class Casty(AwaitedContender[CastyWorker]):
    PACKAGES = ("casty",)

    async def _launching(self, size: int) -> list[CastyWorker]:
        workers = [CastyWorker() for _ in range(size)]
        await asyncio.gather(*(worker.open() for worker in workers))
        return workers

    async def _ending(self, workers: list[CastyWorker]) -> None:
        await asyncio.gather(*(worker.close() for worker in workers))

    def between_ask(self, count: int) -> Figures:
        raise Absent(APART)

    def between_tell(self, count: int) -> Figures:
        raise Absent(APART)

    def _pid(self, worker: CastyWorker) -> int:
        return worker.pid


def contender() -> Casty:
    return Casty()
