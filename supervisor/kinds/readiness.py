"""Readiness: waits until a life of a command is ready, in the way that its spec says.

Runs on the loop's thread, `awaits` in the output thread. A probe that has to be repeated is a task of its own, which
ends with the life.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from actors.process.tracebacks import named_words_of
from actors.wire.log_lines import printed
from supervisor.kinds.notify_socket import NotifySocket
from supervisor.specs import CommandSpec
from supervisor.specs.ready import CheckReady, LineReady, NotifyReady, PortReady, SocketReady, TimeReady

FIRST_PAUSE: Final = 0.02  # seconds between two probes, doubled each time
LONGEST_PAUSE: Final = 0.5
ANSWER: Final = 5.0  # seconds that one probe may take to connect

Probe = Callable[[], Awaitable[object]]


class Readiness(ABC):
    """Waits until one life is ready.

    Attributes:
        environment: what the program gets in its environment for that.
        words: what has not happened yet; empty once it is ready, and before the program runs.
    """

    def __init__(self, words: str, on_ready: Callable[[], None]) -> None:
        self.environment: dict[str, str] = {}
        self.words = ""
        self._awaited = words
        self._on_ready: Callable[[], None] | None = on_ready

    def begin(self) -> None:
        """The program runs."""
        if self._on_ready is not None:
            self.words = self._awaited
        self._begin()

    @abstractmethod
    def _begin(self) -> None:
        """The program runs."""

    def line(self, text: str) -> None:  # noqa: B027 - of interest to one kind only
        """It wrote a line."""

    def awaits(self, line: bytes) -> bool:  # noqa: ARG002 - of interest to one kind only
        """Whether it is the line that is awaited. Runs in the output thread."""
        return False

    def close(self) -> None:
        """The life has ended."""
        self._on_ready = None

    def _ready(self) -> None:
        on_ready, self._on_ready = self._on_ready, None
        if on_ready is not None:
            self.words = ""
            on_ready()


class AtOnce(Readiness):
    """Ready when the program runs."""

    def _begin(self) -> None:
        self._ready()


class ByLine(Readiness):
    """Ready when a line matches; it may come before the loop knows that the program runs."""

    def __init__(self, ready: LineReady, on_ready: Callable[[], None]) -> None:
        super().__init__(ready.words, on_ready)
        self._pattern = ready.pattern

    def _begin(self) -> None:
        """Lines are read anyway."""

    def line(self, text: str) -> None:
        """It wrote a line; the last one before its end may have no newline."""
        if not self._pattern.search(text):
            return
        if self._on_ready is not None:
            self._ready()
        elif self.words:
            self.words = f"{self._awaited} in time, with its newline; there is {text!r}"

    def awaits(self, line: bytes) -> bool:
        """Whether it is the line that is awaited. Runs in the output thread."""
        return self._on_ready is not None and self._pattern.search(printed(line)) is not None


class ByNotice(Readiness):
    """Ready when READY=1 arrives."""

    def __init__(self, ready: NotifyReady, loop: asyncio.AbstractEventLoop, on_ready: Callable[[], None]) -> None:
        super().__init__(ready.words, on_ready)
        self._socket = NotifySocket(loop, self._ready)
        self.environment = {"NOTIFY_SOCKET": self._socket.address}

    def _begin(self) -> None:
        """The socket is read anyway."""

    def close(self) -> None:
        """The life has ended."""
        super().close()
        self._socket.close()


class ByProbe(Readiness):
    """Ready when a probe returns something true; it is repeated until then. What it raises means: not yet."""

    def __init__(self, probe: Probe, words: str, loop: asyncio.AbstractEventLoop, on_ready: Callable[[], None]) -> None:
        super().__init__(words, on_ready)
        self._probe = probe
        self._loop = loop
        self._task: asyncio.Task[None] | None = None

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._try())

    def close(self) -> None:
        """The life has ended."""
        super().close()
        if self._task is not None:
            self._task.cancel()

    async def _try(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                if await self._probe():
                    break
                self.words = self._awaited
            except (Exception, SystemExit, asyncio.CancelledError) as error:
                if self._on_ready is None:  # the life has ended, and this task with it
                    raise
                self.words = f"{self._awaited}: {named_words_of(error)}"
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
        self._ready()


def readiness_of(  # noqa: PLR0911 - one for each way
    spec: CommandSpec, port: int | None, loop: asyncio.AbstractEventLoop, on_ready: Callable[[], None]
) -> Readiness:
    """The way in which a life of this command gets ready.

    Args:
        spec: of the command.
        port: what stands for `{port}`.
        loop: of the tree.
        on_ready: called once, on the loop.

    Raises:
        OSError: the system has no descriptor left for it.
    """
    match spec.ready:
        case LineReady() as ready:
            return ByLine(ready, on_ready)
        case NotifyReady() as ready:
            return ByNotice(ready, loop, on_ready)
        case PortReady(host, number) as ready:
            where = number if isinstance(number, int) else port
            words = ready.words.replace(str(number), str(where))
            return ByProbe(lambda: _accepts(asyncio.open_connection(host, where)), words, loop, on_ready)
        case SocketReady(path) as ready:
            place = str(Path(spec.cwd or ".", path))
            return ByProbe(lambda: _accepts(asyncio.open_unix_connection(place)), ready.words, loop, on_ready)
        case TimeReady(seconds) as ready:
            return ByProbe(lambda: asyncio.sleep(seconds, result=True), ready.words, loop, on_ready)
        case CheckReady(function) as ready:
            return ByProbe(function, ready.words, loop, on_ready)
        case _:
            return AtOnce("", on_ready)


async def _accepts(connecting: Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> bool:
    """Whether a connection was accepted; it is closed at once."""
    async with asyncio.timeout(ANSWER):
        _, writer = await connecting
    writer.close()
    with contextlib.suppress(OSError):  # it has closed it, too
        await writer.wait_closed()
    return True
