"""The error for a path that is not an actor's says what has it, and what to do instead."""

from __future__ import annotations

import asyncio

import pytest

from actors import NoSuchActor
from supervisor import ChildSpec, CommandSpec, SupervisorSpec, TaskSpec
from supervisor.testing import ScriptedSupervisor
from tests.support.actors import Puppet


async def poll():
    await asyncio.Event().wait()


async def test_what_takes_no_messages():
    async with ScriptedSupervisor(
        TaskSpec(poll, name="poller"),
        CommandSpec(("sleep", "60"), name="pause"),
        ChildSpec(Puppet, name="pool", size=2),
        SupervisorSpec(ChildSpec(Puppet, name="inner"), TaskSpec(poll, name="deep"), name="sub"),
    ) as root:
        for name, text in {
            "poller": "/root/poller is a task, which takes no messages: it runs in the daemon",
            "pause": "/root/pause is a command, which takes no messages: it is a program",
            "pool/0": "/root/pool/0 is one process of a pool, which takes messages for all of them: /root/pool",
            "sub": "/root/sub is a supervisor, which takes no messages: name one of its actors",
            "sub/deep": "/root/sub/deep is a task",
            "/root": "/root is the root supervisor",
            "sub/inne": "no actor has the path /root/sub/inne; did you mean /root/sub/inner",
            "sub/inner/x": "no actor has the path /root/sub/inner/x",
            "/other": "no actor has the path /other",
        }.items():
            with pytest.raises(NoSuchActor) as caught:
                root[name]
            assert str(caught.value).startswith(text)
