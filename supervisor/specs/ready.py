"""Ready: when a command is ready, as data. The daemon looks, on its loop."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from actors.bounds import LEAST_SECONDS, is_count, is_time, words
from actors.errors import UsageError
from supervisor.callables import check_fits, is_async, name_of
from supervisor.errors import InvalidSpec

PORT: Final = "{port}"
"""In the arguments and the environment of a command, and in `Ready.port`: a free port that its supervisor chooses."""


class Ready:
    """When a command is ready: `Ready.line("Ready to accept")`, `Ready.port("127.0.0.1", 6379)` and so on.

    Its next sibling starts then, and `start_child` returns. A command without one is ready when its program is
    executed.
    """

    @staticmethod
    def line(regex: str) -> Ready:
        """When it writes a line in which the regular expression is found, to standard output or standard error.

        Raises:
            InvalidSpec: it does not compile.
        """
        try:
            pattern = re.compile(regex)
        except (re.error, TypeError) as error:
            raise InvalidSpec("Ready.line", regex, f"expected a regular expression: {error}") from None
        if not isinstance(pattern.pattern, str):
            raise InvalidSpec("Ready.line", regex, "expected a regular expression as a str; lines are text")
        return LineReady(pattern)

    @staticmethod
    def port(host: str, port: int | Literal["{port}"]) -> Ready:
        """When it accepts TCP connections there; `"{port}"` is the port that the supervisor has chosen.

        Raises:
            InvalidSpec: it is no host or no port.
        """
        if not (isinstance(host, str) and host):
            raise InvalidSpec("Ready.port", host, "expected a host as a str, for instance '127.0.0.1'")
        if not (isinstance(port, str) and port == PORT) and not is_count(port, 1, 65535):
            raise InvalidSpec("Ready.port", port, "expected a port from 1 to 65535, or '{port}'")
        return PortReady(host, port)

    @staticmethod
    def socket(path: str) -> Ready:
        """When it accepts connections at this Unix socket; a relative path begins in its working directory.

        Raises:
            InvalidSpec: it is no path.
        """
        if not (isinstance(path, str) and path) or "\0" in path:
            raise InvalidSpec("Ready.socket", path, "expected the path of a Unix socket as a str")
        return SocketReady(path)

    @staticmethod
    def notify() -> Ready:
        """When it, or a process that it has started, sends `READY=1` to `$NOTIFY_SOCKET` (sd_notify of systemd)."""
        return NotifyReady()

    @staticmethod
    def after(seconds: float) -> Ready:
        """When it has run for so many seconds.

        Raises:
            InvalidSpec: it is no time.
        """
        if not is_time(seconds, LEAST_SECONDS):
            raise InvalidSpec("Ready.after", seconds, f"expected {words(LEAST_SECONDS)}")
        return TimeReady(seconds)

    @staticmethod
    def check(async_function: Callable[[], Awaitable[object]]) -> Ready:
        """When this coroutine function returns something true. It is called again and again on the daemon's loop.

        What it raises means: not yet.

        Raises:
            InvalidSpec: it is no coroutine function.
        """
        if not is_async(async_function):
            raise InvalidSpec("Ready.check", async_function, "expected an async def without parameters")
        try:
            check_fits(async_function, (), {})
        except UsageError as error:
            raise InvalidSpec(
                "Ready.check", async_function, f"expected an async def without parameters: {error}"
            ) from None
        return CheckReady(async_function)


@dataclass(frozen=True)
class LineReady(Ready):
    """See `Ready.line`."""

    pattern: re.Pattern[str]

    @property
    def words(self) -> str:
        """What has not happened yet, for a person."""
        return f"no line with {self.pattern.pattern!r} was written"


@dataclass(frozen=True)
class PortReady(Ready):
    """See `Ready.port`."""

    host: str
    number: int | str

    @property
    def words(self) -> str:
        """What has not happened yet, for a person."""
        return f"no connection to {self.host}, port {self.number}, was accepted"


@dataclass(frozen=True)
class SocketReady(Ready):
    """See `Ready.socket`."""

    path: str

    @property
    def words(self) -> str:
        """What has not happened yet, for a person."""
        return f"no connection to {self.path} was accepted"


@dataclass(frozen=True)
class NotifyReady(Ready):
    """See `Ready.notify`."""

    @property
    def words(self) -> str:
        """What has not happened yet, for a person."""
        return "no READY=1 came to its NOTIFY_SOCKET"


@dataclass(frozen=True)
class TimeReady(Ready):
    """See `Ready.after`."""

    seconds: float

    @property
    def words(self) -> str:
        """What has not happened yet, for a person."""
        return f"it had not run for {self.seconds:g} s"


@dataclass(frozen=True)
class CheckReady(Ready):
    """See `Ready.check`."""

    function: Callable[[], Awaitable[object]] = field(repr=False)

    @property
    def words(self) -> str:
        """What has not happened yet, for a person."""
        return f"{name_of(self.function)}() did not return something true"
