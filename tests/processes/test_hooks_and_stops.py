"""Async actors read their channel from the first line of on_start to the last of on_stop; a bad message fails alone."""

from __future__ import annotations

import asyncio
import sys

import pytest

from actors import HandlerError
from supervisor import ChildSpec, Supervisor
from tests.support.hooked import (
    AskOnceStopping,
    AsyncAsker,
    AsyncHolder,
    Double,
    Eager,
    Front,
    Holder,
    Put,
    Said,
    Store,
    SyncAsker,
    Tasks,
)
from tests.support.waiting import DEADLINE, until

pytestmark = pytest.mark.processes


async def test_async_hooks_ask_others(tmp_path):
    said = tmp_path / "said"
    async with Supervisor(ChildSpec(Store), ChildSpec(Front, args=(str(said),)), spares=0) as root:
        assert await root["front"].ask(Double(3)) == 6
    assert said.read_text() == "42"


async def test_a_handler_gets_its_answers_once_its_actor_is_asked_to_stop(tmp_path):
    begun = tmp_path / "begun"
    front = ChildSpec(Front, shutdown=DEADLINE)
    async with Supervisor(ChildSpec(Store), front, spares=0) as root:
        asked = asyncio.create_task(root["front"].ask(AskOnceStopping(str(begun)), timeout=DEADLINE))
        await until(begun.exists)
        await root.terminate_child("front")
        assert await asked == 8


@pytest.mark.parametrize("actor", [Holder, AsyncHolder])
async def test_a_post_init_that_raises_anything_in_the_actor_fails_its_message_alone(actor):
    async with Supervisor(ChildSpec(actor, name="holder"), spares=0) as root:
        numbers = (1, 2, -1, 3)
        asks = (root["holder"].ask(Put(number), timeout=DEADLINE) for number in numbers)
        one, two, bad, three = await asyncio.gather(*asks, return_exceptions=True)
        assert (one, two, three) == (1, 2, 3)
        assert isinstance(bad, HandlerError)
        assert "no such segment" in str(bad)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
async def test_eager_tasks_leave_nothing_behind():
    async with Supervisor(ChildSpec(Eager), spares=0) as root:
        await asyncio.gather(*(root["eager"].ask(Double(n)) for n in range(200)))
        assert await root["eager"].ask(Tasks()) <= 3


@pytest.mark.parametrize("asker", [SyncAsker, AsyncAsker])
async def test_an_ask_before_it_is_ready_of_one_that_starts_later(asker):
    """Refused at once, with the remedy; the other way round it is answered."""
    specs = ChildSpec(asker, ("store",), name="first"), ChildSpec(Store), ChildSpec(asker, ("store",), name="last")
    async with Supervisor(*specs, spares=0) as root:
        first, last = [await root[name].ask(Said(), timeout=DEADLINE) for name in ("first", "last")]
    assert "2" == last
    assert first == (
        "/root/store is not started yet: its start comes after that of /root/first, which is not ready. Put it before "
        "/root/first in the spec, or ask it in a handler"
    )


async def test_an_ask_of_itself_before_it_is_ready():
    """Refused at once: it could only be answered later."""
    async with Supervisor(ChildSpec(AsyncAsker, ("a",), name="a"), spares=0) as root:
        said = await root["a"].ask(Said(), timeout=DEADLINE)
    assert "/root/a asks itself before it is ready; do this in a handler, or by a tell" == said


async def test_actors_that_start_side_by_side_may_ask_each_other():
    """The ask waits until the other is ready."""
    specs = ChildSpec(AsyncAsker, ("store",), name="first"), ChildSpec(Store)
    async with Supervisor(*specs, start="parallel", spares=0) as root:
        assert "2" == await root["first"].ask(Said(), timeout=DEADLINE)
