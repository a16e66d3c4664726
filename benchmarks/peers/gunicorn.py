"""gunicorn's dirty arbiter: one dirty worker behind its Unix socket, asked as gunicorn's asyncio workers ask it.

A web server comes with it: its main process, one web worker and the arbiter, through which each request passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gunicorn.dirty.client import DirtyClient
from gunicorn.dirty.errors import DirtyError

from benchmarks.absent import Absent
from benchmarks.awaiting import AwaitedContender

MODULE = "benchmarks.peers.gunicorn_app"
PATIENCE = 60.0  # seconds


class DirtyWorker:
    """A gunicorn of its own with one dirty worker. A connection carries one request at a time, so there are many."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="dirty-")
        self._free: list[DirtyClient] = []
        command = ["--dirty-app", f"{MODULE}:Adder", "--dirty-workers", "1", "--log-level", "critical"]
        self._server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *command, "--bind", f"unix:{self._folder.name}/web", f"{MODULE}:web"],
            env={**os.environ, "TMPDIR": self._folder.name},
        )
        self.pid = 0

    async def open(self) -> None:
        """Return when the worker has answered."""
        async with asyncio.timeout(PATIENCE):
            self.pid = await self.recovered("pid")

    async def recovered(self, action: str, *args: Any) -> Any:
        """Ask until there is an answer."""
        while True:
            try:
                return await self._do(action, *args)
            except DirtyError:
                await asyncio.sleep(0.002)

    async def close(self) -> None:
        for client in self._free:
            await client.close_async()
        self._server.terminate()
        await asyncio.to_thread(self._server.wait)
        self._folder.cleanup()

    async def ask(self) -> Any:
        return await self._do("add", 1)

    async def tell(self) -> None:
        raise Absent("each request waits for its answer")

    async def take(self, payload: bytes) -> int:
        length: int = await self._do("take", payload)
        return length

    async def echo(self, payload: bytes) -> int:
        return len(await self._do("echo", payload))

    async def _do(self, action: str, *args: Any) -> Any:
        client = self._free.pop() if self._free else self._connection()
        answer = await client.execute_async(f"{MODULE}:Adder", action, *args)
        self._free.append(client)
        return answer

    def _connection(self) -> DirtyClient:
        sockets = list(Path(self._folder.name).glob("gunicorn-dirty-*/arbiter.sock"))
        if not sockets:
            raise DirtyError("the arbiter does not listen yet")
        return DirtyClient(str(sockets[0]), PATIENCE)


class Gunicorn(AwaitedContender[DirtyWorker]):
    PACKAGES = ("gunicorn",)

    async def _launching(self, size: int) -> list[DirtyWorker]:
        if size > 1:
            raise Absent("its dirty workers cannot be asked one by one")
        worker = DirtyWorker()
        try:
            await worker.open()
        except BaseException:
            with contextlib.suppress(DirtyError):
                await worker.close()
            raise
        return [worker]

    async def _ending(self, workers: list[DirtyWorker]) -> None:
        for worker in workers:
            await worker.close()

    def _pid(self, worker: DirtyWorker) -> int:
        return worker.pid

    async def _recovering(self, worker: DirtyWorker) -> None:
        await worker.recovered("add", 1)


def contender() -> Gunicorn:
    return Gunicorn()
