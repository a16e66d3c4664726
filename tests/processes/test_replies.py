"""A reply is out when its handler has returned, whatever comes next."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from actors import Actor, ActorCrashed
from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from tests.support.repliers import Do, Loop, Plain
from tests.support.waiting import DEADLINE, until

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("actor", [Plain, Loop])
async def test_a_reply_does_not_wait_for_the_next_handler(actor: type[Actor]) -> None:
    """Not for one in Python or in C, with or without the interpreter; and it survives one that ends the process."""
    backoff = Backoff(initial=0.0, cap=0.0)
    async with (
        asyncio.timeout(DEADLINE * 3),
        Supervisor(ChildSpec(actor, name="a", backoff=backoff), intensity=Intensity.unlimited()) as root,
    ):
        ref = root["a"]
        for what in ("python", "C", "system", "crash"):
            pid = await ref.ask(Do(), timeout=None)
            quick = [asyncio.create_task(ref.ask(Do(), timeout=None)) for _ in range(3)]
            never = asyncio.create_task(ref.ask(Do(what), timeout=None))
            assert [pid] * 3 == await asyncio.gather(*quick), what
            if what != "crash":
                await until(lambda: root.snapshot().children[0].handling == "Do", "the last message")
                os.kill(pid, signal.SIGKILL)
            with pytest.raises(ActorCrashed):
                await never


@pytest.mark.parametrize("actor", [Plain, Loop])
async def test_no_reply_of_one_call_waits_for_the_next_message_of_the_call(actor: type[Actor]) -> None:
    """The daemon has those that are made while the next handler hangs, and after a death."""
    backoff = Backoff(initial=0.0, cap=0.0)
    async with (
        asyncio.timeout(DEADLINE * 3),
        Supervisor(ChildSpec(actor, name="a", backoff=backoff), intensity=Intensity.unlimited()) as root,
    ):
        ref = root["a"]
        for what in ("system", "crash"):
            pid = await ref.ask(Do(), timeout=None)
            call = asyncio.create_task(ref.ask_many([*[Do()] * 100, Do(what)], timeout=None))
            if what != "crash":
                await until(lambda: root.snapshot().children[0].mailbox == 1, "only the last message is left")
                os.kill(pid, signal.SIGKILL)
            *replies, lost = await call
            assert [pid] * 100 == replies
            assert isinstance(lost, ActorCrashed)
