"""Threads and forks of an actor's own: what is not the actor's to do is refused in one line, and harms no one."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from actors import Actor, Message, UsageError, handles
from actors.child.messages.calls import Calls
from supervisor import ChildSpec, Supervisor
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.processes


class Peer(Message[str]):
    """Do this in a thread, and say what became of it."""

    how: str


class Ping(Message[int]):
    """Return the process's id."""


class Fork(Message[tuple[int, int]]):
    """Fork; the copy ends like this. The reply is the process's id and the copy's exit status."""

    how: str
    path: str = ""


def elsewhere(actor: Actor, how: str) -> str:
    """Do what only the thread of the handlers may do."""
    ref = actor.context.actor("peer")
    try:
        if how == "call":
            ref.call(Ping())
        elif how == "ask":
            asyncio.run(ref.ask(Ping()))
        elif how == "tell":
            asyncio.run(ref.tell(Ping()))
        elif how == "every":
            actor.context.every(1.0, Ping())
        elif how == "stop":
            actor.context.stop()
        else:
            ref.tell_nowait(Ping())
    except UsageError as error:
        return str(error)
    return "done"


def test_a_module_may_replace_the_numbers_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As gevent does, where it patches Python in a module that a job's process imports."""
    none = cast("Any", None)
    calls = Calls("/root/a", none, none, time)
    monkeypatch.setattr(threading, "get_ident", lambda: 0)
    calls.check_thread("context.extend")


def fork(actor: Actor, message: Fork) -> tuple[int, int]:
    """Fork; returns in the copy, too, when it is asked to."""
    pid = os.fork()
    if pid:
        return os.getpid(), os.waitpid(pid, 0)[1]
    if message.how == "exit":
        sys.exit(7)
    if message.how == "raise":
        raise ValueError("in the copy")
    if message.how == "send":
        actor.context.actor("peer").tell_nowait(Ping())
    return -1, -1


class Sync(Actor):
    """Its handlers are sync."""

    def on_stop(self, reason: object) -> None:
        self.context.log.info("stopped", pid=os.getpid())

    @handles
    def ping(self, message: Ping) -> int:
        return os.getpid()

    @handles
    def peer(self, message: Peer) -> str:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(elsewhere, self, message.how).result()

    @handles
    def fork(self, message: Fork) -> tuple[int, int]:
        return fork(self, message)


class Async(Sync):
    """They run on a loop."""

    concurrency = 4

    @handles
    async def ping(self, message: Ping) -> int:
        return os.getpid()

    @handles
    async def peer(self, message: Peer) -> str:
        return await asyncio.to_thread(elsewhere, self, message.how)

    @handles
    async def fork(self, message: Fork) -> tuple[int, int]:
        return fork(self, message)


class ForkAndWait(Async):
    """Its copy awaits something."""

    @handles
    async def fork(self, message: Fork) -> tuple[int, int]:
        pid = os.fork()
        if not pid:
            await asyncio.sleep(0)
            os.mkdir(message.path)  # noqa: PTH102
        return os.getpid(), os.waitpid(pid, 0)[1]  # noqa: ASYNC222


@pytest.mark.parametrize("actor", [Sync, Async])
async def test_threads_of_an_actor(actor: type[Actor]) -> None:
    """What waits is refused at once and says what to do; a tell_nowait goes through; the actor works on."""
    async with (
        asyncio.timeout(DEADLINE),
        Supervisor(ChildSpec(actor, name="a"), ChildSpec(Sync, name="peer"), spares=0) as root,
    ):
        pid = await root["a"].ask(Ping())
        for how in ("call", "ask", "tell", "every", "stop"):
            said = await root["a"].ask(Peer(how))
            assert "works only in the thread of its handlers, not in" in said, how
            assert "\n" not in said
        assert "done" == await root["a"].ask(Peer("tell_nowait"))
        assert pid == await root["a"].ask(Ping())


@pytest.mark.parametrize("actor", [Sync, Async])
async def test_forks_of_an_actor(actor: type[Actor], logs: list[dict[str, object]]) -> None:
    """A copy that exits, raises, sends or returns ends there; the asker hears from the actor alone."""
    async with (
        asyncio.timeout(DEADLINE),
        Supervisor(ChildSpec(actor, name="a"), ChildSpec(Sync, name="peer"), spares=0) as root,
    ):
        pid = await root["a"].ask(Ping())
        for how, code in (("exit", 7), ("raise", 1), ("send", 1), ("return", 0)):
            assert (pid, code << 8) == await root["a"].ask(Fork(how)), how
            assert pid == await root["a"].ask(Ping())
    stops = [line["pid"] for line in logs if line["event"] == "stopped" and line["actor"] == "/root/a"]
    assert [pid] == stops


async def test_a_fork_that_awaits(tmp_path: Path) -> None:
    """It does not go on with the actor's loop."""
    async with asyncio.timeout(DEADLINE), Supervisor(ChildSpec(ForkAndWait, name="a"), spares=0) as root:
        pid = await root["a"].ask(Ping())
        assert (pid, 0) == await root["a"].ask(Fork("", str(tmp_path / "went on")))
        assert pid == await root["a"].ask(Ping())
    assert not os.listdir(tmp_path)  # noqa: PTH208
