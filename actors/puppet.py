"""Puppet: an actor that does what a test says: it raises, exits, dies, hangs, ignores a stop, breaks the protocol.

`supervisor.testing` exports it. It is a module of its own so that a puppet's process does not import the supervisor.

Runs in the actor's process; inline, `die` and `hang` end or hold the life alone.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextvars import ContextVar
from typing import Any, Final, NoReturn, Protocol

from actors.actor import Actor, handles
from actors.exits import ExitReason
from actors.messages import Message

_NO_FRAME: Final = b"\xc1"  # the one byte that msgpack never uses


class Host(Protocol):
    """What runs an actor inline."""

    def die(self, number: int) -> NoReturn:
        """End the life as that signal ends a process."""

    def hang(self) -> NoReturn:
        """Hold the life until it is killed."""


HOST: Final[ContextVar[Host | None]] = ContextVar("HOST", default=None)
"""What runs the current code inline; None in a process of its own."""


def die(number: int = signal.SIGKILL) -> NoReturn:
    """End the actor's process by a signal that it cannot handle, at once; inline, only the life ends."""
    host = HOST.get()
    if host is not None:
        host.die(number)
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    while True:
        os.kill(os.getpid(), number)


def hang() -> NoReturn:
    """Never return."""
    host = HOST.get()
    if host is not None:
        host.hang()
    while True:
        time.sleep(3600)


class Echo(Message[str]):
    """The puppet replies the text."""

    text: str = ""


class Incarnation(Message[int]):
    """The puppet replies the number of its life."""


class Raise(Message[None]):
    """The puppet's handler raises RuntimeError.

    Attributes:
        text: of the exception.
    """

    text: str = "as the test said"


class Exit(Message[None]):
    """The puppet's handler calls `sys.exit`.

    Attributes:
        code: with this exit code.
    """

    code: int = 1


class Die(Message[None]):
    """The puppet's process dies by a signal in the handler.

    Attributes:
        number: of the signal.
    """

    number: int = signal.SIGKILL


class Hang(Message[None]):
    """The puppet's handler does not return."""


class IgnoreStop(Message[None]):
    """From now on the puppet does not end when it is asked to: it has to be killed."""


class SendGarbage(Message[None]):
    """The puppet sends its daemon bytes that are no frame."""


class Puppet(Actor):
    """Does what a test says.

    Args:
        bad_starts: how many of its first lives do not become ready.
        how: what they do in `on_start`: "raise", "exit", "die" or "hang".
    """

    def __init__(self, bad_starts: int = 0, how: str = "raise") -> None:
        self._bad_starts = bad_starts
        self._how = how
        self._ignores_stop = False

    def on_start(self) -> None:
        """Fail, if this life has to."""
        if self.context.life <= self._bad_starts:
            _do(self._how)

    def on_stop(self, reason: ExitReason) -> None:
        """Do not return, if it shall not."""
        del reason
        if self._ignores_stop:
            hang()

    @handles
    def echo(self, msg: Echo) -> str:
        """See `Echo`."""
        return msg.text

    @handles
    def incarnation(self, msg: Incarnation) -> int:
        """See `Incarnation`."""
        del msg
        return self.context.life

    @handles
    def raise_(self, msg: Raise) -> None:
        """See `Raise`."""
        raise RuntimeError(msg.text)

    @handles
    def exit(self, msg: Exit) -> None:
        """See `Exit`."""
        sys.exit(msg.code)

    @handles
    def die(self, msg: Die) -> None:
        """See `Die`."""
        die(msg.number)

    @handles
    def hang(self, msg: Hang) -> None:
        """See `Hang`."""
        del msg
        hang()

    @handles
    def ignore_stop(self, msg: IgnoreStop) -> None:
        """See `IgnoreStop`."""
        del msg
        self._ignores_stop = True

    @handles
    def send_garbage(self, msg: SendGarbage) -> None:
        """See `SendGarbage`."""
        del msg
        ref: Any = self.context.ref
        ref._transport.send(_NO_FRAME)  # noqa: SLF001 - no actor can do this


def _do(how: str) -> None:
    deeds = {"exit": lambda: sys.exit(1), "die": die, "hang": hang}
    if how in deeds:
        deeds[how]()
    raise RuntimeError("as the test said")
