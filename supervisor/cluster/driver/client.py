"""Driver client: the daemon's side of the process that uses Ray. Runs on the loop's thread.

The process is started with the first call, and anew with the first call after it has ended: then every agent that it
had started ends, too.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import msgspec

from actors.wire.codec import encode
from actors.wire.framing import Framer, header
from supervisor.cluster.driver import protocol as say
from supervisor.cluster.forks import close_in_forks
from supervisor.ports.reading import AnyReader

LAST_WAIT: Final = 10.0  # seconds for Ray's orderly end
WORDS: Final = 16_000  # bytes of what the process wrote last that an error shows

_FRAME: Final = re.compile(r"\(\+0x|\+0x[0-9a-f]+\)|\[0x[0-9a-f]+\]|StackTrace Information")

A = TypeVar("A", bound=say.Answer)


class CallFailed(Exception):
    """A call of the driver has failed; the text is for people."""


class MachineFailed(CallFailed):
    """It is the machine that failed; the same call may work on another."""


class Driver(Protocol):
    """What the machines of a tree need from Ray.

    Attributes:
        on_agent_ended: called with the call that started an agent, and why it ended.
    """

    on_agent_ended: Callable[[int, str], None]

    def number(self) -> int:
        """A number for the next call."""

    async def call(self, value: Any, answer: type[A]) -> A:
        """Call, and wait for the answer.

        Raises:
            CallFailed: it has failed, or the driver has ended.
            MachineFailed: the machine has failed.
        """

    def tell(self, value: say.EndAgent | say.Release) -> None:
        """Say something that has no answer."""

    async def close(self) -> None:
        """End it."""

    def abandon(self) -> None:
        """The loop was closed: end it, and wait for that. Runs in a thread that may wait."""


class RayDriver:
    """The process that uses Ray.

    Args:
        address: of the cluster, as `ray.init` takes it.
        runtime_env: as `ray.init` takes it.
        loop: of the tree.
        reader: waits for what it says.
    """

    def __init__(
        self, address: str | None, runtime_env: dict[str, Any], loop: asyncio.AbstractEventLoop, reader: AnyReader
    ) -> None:
        self.on_agent_ended: Callable[[int, str], None] = _nothing
        self._address = address
        self._runtime_env = runtime_env
        self._loop = loop
        self._reader = reader
        self._numbers = itertools.count(1)
        self._process: _Process | None = None
        self._joined: asyncio.Future[None] | None = None
        self._ending: set[asyncio.Future[None]] = set()

    def number(self) -> int:
        """See `Driver`."""
        return next(self._numbers)

    async def call(self, value: Any, answer: type[A]) -> A:
        """See `Driver`."""
        if self._joined is None:
            self._joined = asyncio.ensure_future(self._join())
        await asyncio.shield(self._joined)
        process = self._process
        if process is None:
            raise CallFailed("the driver of the cluster has just ended")
        return await process.call(value, answer)

    def tell(self, value: say.EndAgent | say.Release) -> None:
        """See `Driver`."""
        if self._process is not None:
            self._process.send(value)

    async def close(self) -> None:
        """See `Driver`."""
        if self._joined is not None:
            self._joined.cancel()
        if self._process is not None:
            self._process.hang_up()
            self._ended(self._process, "it was closed")
        for ending in tuple(self._ending):
            await ending

    def abandon(self) -> None:
        """See `Driver`."""
        if self._process is not None:
            self._process.abandon()

    async def _join(self) -> None:
        try:
            self._process = process = _Process(self._loop, self._reader, self._hear, self._ended)
            await process.call(say.Join(self.number(), self._address, self._runtime_env), say.Joined)
        except BaseException:
            self._joined = None
            if self._process is not None:
                self._process.hang_up()
                self._ended(self._process, "it could not join")
            raise

    def _hear(self, value: say.AgentEnded) -> None:
        self.on_agent_ended(value.agent, value.why)

    def _ended(self, process: _Process, why: str) -> None:
        """The process is over, or no longer wanted."""
        if process is not self._process:
            return
        self._process = self._joined = None
        process.fail(f"the driver of the cluster has ended: {why}")
        reaping = self._loop.run_in_executor(None, process.reap)
        self._ending.add(reaping)
        reaping.add_done_callback(self._ending.discard)


class _Process:
    """One process that uses Ray."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reader: AnyReader,
        on_said: Callable[[say.AgentEnded], None],
        on_end: Callable[[_Process, str], None],
    ) -> None:
        self._loop = loop
        self._reader = reader
        self._on_said = on_said
        self._on_end = on_end
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._framer = Framer()
        self._unsent = bytearray()
        self._sock, theirs = socket.socketpair()
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        words = [sys.executable, "-m", "supervisor.cluster.driver.process", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                words,
                stdin=subprocess.DEVNULL,
                stdout=self._words,
                stderr=self._words,
                pass_fds=(theirs.fileno(),),
                env=environment,
                start_new_session=True,
            )
        self._sock.setblocking(False)
        close_in_forks(self._sock)
        reader.stream(self._sock, self._arrived, self._ended)

    async def call(self, value: Any, answer: type[A]) -> A:
        future = self._calls[value.call] = self._loop.create_future()
        try:
            self.send(value)
            heard = await future
        finally:
            self._calls.pop(value.call, None)
        if isinstance(heard, say.Failed):
            raise (MachineFailed if heard.elsewhere else CallFailed)(heard.why)
        if not isinstance(heard, answer):
            raise CallFailed(f"it answered {heard}")
        return heard

    def send(self, value: msgspec.Struct) -> None:
        data, waiting = encode(value), bool(self._unsent)
        self._unsent += header(len(data)) + data
        if not waiting:
            self._send()

    def _send(self) -> None:
        """Send what the kernel takes now: a large runtime_env does not fit at once, and calls of Ray may take long."""
        try:
            del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # it is dead: its end is seen where it is read
            self._process.kill()
            return
        if self._unsent:
            self._reader.once_writable(self._sock.fileno(), self._send)

    def fail(self, why: str) -> None:
        for future in self._calls.values():
            if not future.done():
                future.set_exception(CallFailed(why))

    def hang_up(self) -> None:
        self._reader.forget(self._sock.fileno(), close=self._sock.close)

    def abandon(self) -> None:
        """The loop was closed: hang up, and wait for its end. Runs in a thread."""
        self._sock.close()
        self.reap()

    def reap(self) -> None:
        """Wait for its end. Runs in a thread."""
        try:
            self._process.wait(LAST_WAIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._words.close()

    def _ended(self) -> None:
        self.hang_up()
        self._on_end(self, self._last_words())

    def _arrived(self, chunk: bytes) -> None:
        for frame in self._framer.feed(chunk):
            value = say.read_from_driver(frame)  # type: ignore[arg-type]  # it sends no attachments
            if isinstance(value, say.AgentEnded):
                self._on_said(value)
                continue
            future = self._calls.get(value.call)
            if future is not None and not future.done():
                future.set_result(value)

    def _last_words(self) -> str:
        size = self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, size - WORDS))
        return last_words(self._words.read().decode(errors="replace"))


def last_words(text: str) -> str:
    """The last line that a person reads: what follows is the stack of C++ that Ray prints when it aborts."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _FRAME.search(line)]
    return lines[-1] if lines else "it said nothing"


def _nothing(agent: int, why: str) -> None:
    """The default of a callback that is set later."""
