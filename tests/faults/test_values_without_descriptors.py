"""A value in shared memory for which the daemon has no descriptor: whom it matters is told, and no actor dies of it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from actors import ActorCrashed, Shared
from supervisor import ChildSpec, Supervisor
from tests.support.exhausted import no_descriptor_left
from tests.support.sharers import (
    SIZE,
    Album,
    AskToSwell,
    Echo,
    Give,
    Make,
    Numbers,
    Pid,
    Relayer,
    RelayNumbers,
    Summer,
    Total,
)

pytestmark = [pytest.mark.processes, pytest.mark.skipif(sys.platform != "linux", reason="memfd is Linux's")]
AT_ONCE = 60.0
LACK = "the daemon had no descriptor left for a value in shared memory of"


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "first value"])
async def test_every_way(connected):
    """Replies, streams, messages from actor to actor; a process whose first value it is has no connection yet."""
    specs = [ChildSpec(actor, name=actor.__name__.lower()) for actor in (Summer, Album, Relayer)]
    async with Supervisor(*specs, spares=0) as root:
        summer, relayer = root["summer"], root["relayer"]
        if connected:
            assert SIZE == len(await summer.ask(Make(SIZE // 8, 1.0), timeout=AT_ONCE))
            assert "given" == await relayer.ask(Give("summer"), timeout=AT_ONCE)
            assert f"{2 * SIZE} bytes" == await relayer.ask(AskToSwell("album"), timeout=AT_ONCE)
        pid = await summer.ask(Pid(), timeout=AT_ONCE)
        with no_descriptor_left():
            for _ in range(2):
                with pytest.raises(
                    ActorCrashed, match=f"has handled Make, and what it replied was lost: {LACK}"
                ) as lost:
                    await summer.ask(Make(SIZE // 8, 1.0), timeout=AT_ONCE)
                assert (True, True) == (lost.value.started, lost.value.finished)
            with pytest.raises(ActorCrashed, match=f"the stream of Numbers from /root/summer ends, .*: {LACK}"):
                assert [None async for _ in summer.stream(Numbers(100))]
            assert f"{LACK} {SIZE} bytes; Keep for /root/summer was not sent" in await relayer.ask(
                Give("summer"), timeout=AT_ONCE
            )
            assert "what it replied was lost" in await relayer.ask(AskToSwell("album"), timeout=AT_ONCE)
            assert f"ends, since an item was lost: {LACK}" in await relayer.ask(
                RelayNumbers("summer", 100), timeout=AT_ONCE
            )
        assert 2 == root.snapshot().children[0].fates["handled_unanswered"]
        assert pid == await summer.ask(Pid(), timeout=AT_ONCE)
        made = await summer.ask(Make(SIZE // 8, 3.0), timeout=AT_ONCE)
        assert 3.0 * (SIZE // 8) == made.array().sum() == await summer.ask(Total(made), timeout=AT_ONCE)
        assert "given" == await relayer.ask(Give("summer"), timeout=AT_ONCE)
        assert f"{2 * SIZE} bytes" == await relayer.ask(AskToSwell("album"), timeout=AT_ONCE)
        assert "100 items" == await relayer.ask(RelayNumbers("summer", 100), timeout=AT_ONCE)
        assert {1} == {child.life for child in root.snapshot().children}


async def test_one_that_is_kept_takes_no_descriptor_more():
    """It is here already: a value comes back, and is passed on, where the daemon has no descriptor left."""
    async with Supervisor(ChildSpec(Summer, name="summer"), spares=0) as root:
        back = await root["summer"].ask(Echo(Shared.of(np.ones(SIZE // 8))), timeout=AT_ONCE)
        with no_descriptor_left():
            assert SIZE // 8 == await root["summer"].ask(Total(back), timeout=AT_ONCE)
