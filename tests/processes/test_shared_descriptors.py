"""Values in shared memory and the descriptors that they take: no process runs out of them over what waits for it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from actors import Shared
from supervisor import ChildSpec, Supervisor
from tests.support.sharers import (
    Pair,
    Pid,
    Relayer,
    RelayNumbers,
    RelayRepeated,
    Summer,
    SyncSummer,
    Total,
    TotalOfAll,
    Upload,
)
from tests.support.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.skipif(sys.platform != "linux", reason="memfd is Linux's")]
AT_ONCE = 60.0
FEW = {"NOFILE": (64, 64)}
COUNT = 8192  # numbers of a value of 64 KiB


async def test_thousands_of_messages_for_a_process_with_few_descriptors():
    """It is given as many values ahead as it has room for; the others wait in the mailbox."""
    specs = [
        ChildSpec(SyncSummer, name="one", rlimits=FEW),
        ChildSpec(SyncSummer, name="pool", size=2, rlimits=FEW),
    ]
    async with Supervisor(*specs, spares=0) as root:
        same, values = Shared.of(np.ones(COUNT)), [Shared.of(np.full(COUNT, float(n))) for n in range(200)]
        for name in ("one", "pool"):
            asks = [root[name].ask(Total(same), timeout=AT_ONCE) for _ in range(500)]
            asks += [root[name].ask(Total(value), timeout=AT_ONCE) for value in values]
            assert [COUNT] * 500 + [COUNT * n for n in range(200)] == await asyncio.gather(*asks)
            assert [COUNT * n for n in range(200)] == await root[name].ask_many(
                [Total(value) for value in values], timeout=AT_ONCE
            )
            await root[name].tell_many([Total(value) for value in values])
        assert {1} == {child.life for child in root.snapshot().children}


async def test_a_message_with_more_values_than_a_process_may_have_ahead():
    """It comes alone."""
    async with Supervisor(ChildSpec(Summer, name="summer", rlimits=FEW), spares=0) as root:
        values = [Shared.of(np.full(COUNT, 1.0)) for _ in range(20)]
        message = TotalOfAll([{str(n): one for n, one in enumerate(values)}], Pair(values[0]))
        sums = await asyncio.gather(*[root["summer"].ask(message, timeout=AT_ONCE) for _ in range(10)])
        assert [21.0 * COUNT] * 10 == sums


async def test_a_feed_and_a_stream_for_a_process_with_few_descriptors():
    """It is a few values behind who sends them."""
    specs = [ChildSpec(Summer, name="summer", rlimits=FEW), ChildSpec(Relayer, name="relayer", rlimits=FEW)]
    async with Supervisor(*specs, spares=0) as root:
        values = [Shared.of(np.full(COUNT, 1.0)) for _ in range(200)]
        assert 200 * COUNT == await root["summer"].feed(Upload("many"), values)
        assert "200 items" == await root["relayer"].ask(RelayNumbers("summer", 200), timeout=AT_ONCE)


async def test_one_value_in_many_messages_is_one_descriptor():
    """In the daemon, that passes it from actor to actor, and where it arrives."""
    async with Supervisor(ChildSpec(Summer, name="summer"), ChildSpec(Relayer, name="relayer"), spares=0) as root:
        pid = await root["summer"].ask(Pid(), timeout=AT_ONCE)
        there, here = descriptors(pid), descriptors(os.getpid())
        os.kill(pid, signal.SIGSTOP)
        relayed = asyncio.create_task(root["relayer"].ask(RelayRepeated("summer", 300), timeout=AT_ONCE))
        await until(lambda: depth(root, "/root/summer") == 300, "all of them have been sent")
        assert 10 > descriptors(os.getpid()) - here
        os.kill(pid, signal.SIGCONT)
        assert [COUNT] * 300 == await relayed
        assert 10 > descriptors(pid) - there


def depth(root, path):
    return next(child.mailbox for child in root.snapshot().children if child.path == path)


def descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
