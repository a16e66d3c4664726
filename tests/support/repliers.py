"""Actors whose next handler holds them up right after a reply."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal

from actors import Actor, Message, handles


class Do(Message[int]):
    """Return the process's id, or do something that does not end."""

    what: str = ""


def do(what: str) -> int:
    """Return at once, or never."""
    if what == "python":
        while True:
            pass
    elif what == "C":
        ctypes.PyDLL(None).pause()  # a PyDLL keeps the interpreter
    elif what == "system":
        signal.pause()
    elif what == "crash":
        os._exit(3)
    return os.getpid()


class Plain(Actor):
    """Its handler is sync."""

    @handles
    def do(self, message: Do) -> int:
        return do(message.what)


class Loop(Actor):
    """Its handlers run on a loop, several at once."""

    concurrency = 8

    @handles
    async def do(self, message: Do) -> int:
        await asyncio.sleep(0)
        return do(message.what)
