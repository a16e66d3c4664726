"""A message that ends the process which decodes it is blamed and bounded, as one that does so in its handler."""

from __future__ import annotations

from typing import Any

import pytest

from actors import ActorCrashed, UndecodableMessage
from supervisor import ChildExited, ChildSpec, DeadLetter, Supervisor
from tests.support.undecodable import Again, AsyncTaker, Note, Taker, Unreadable
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.processes


@pytest.fixture(params=[Taker, AsyncTaker])
def taker(request):
    return ChildSpec(request.param, name="a")


async def outcome(ref, message) -> Any:
    try:
        return await ref.ask(message, timeout=DEADLINE)
    except ActorCrashed as crash:
        return crash


async def test_an_ask_alone(taker):
    """One death, with the message in its report; the actor goes on."""
    async with Supervisor(taker, spares=0) as root:
        events = root.events()
        crash = await outcome(root["a"], Note(1, deadly=True))
        assert 2 == await outcome(root["a"], Note(2))
    assert (True, False) == (crash.started, crash.finished)
    assert "while handling Note; it is not delivered again, since Note is not idempotent" in str(crash)
    (report, *_) = [event.report async for event in events if isinstance(event, ChildExited)]
    assert ("Note", True, 1) == (report.last_message, report.last_message_begun, report.deliveries)


@pytest.mark.parametrize("message", [Note, Again])
async def test_among_good_ones(taker, message):
    """The good ones that came with it are handled, each once, in their order; it alone is blamed."""
    async with Supervisor(taker, spares=0) as root:
        letters = root.dead_letters()
        for number in range(9):
            root["a"].tell_nowait(message(number, deadly=number == 4))
        assert [9] == [await outcome(root["a"], Note(9))]
        fates = root.snapshot().children[0].fates
    dead = [letter async for letter in letters if isinstance(letter, DeadLetter)]
    assert ["poison" if message is Again else "crashed_while_handling"] == [letter.reason for letter in dead]
    assert [4] == [letter.message.number for letter in dead]
    assert 9 == fates["handled"]


async def test_an_idempotent_ask_is_bounded(taker):
    """As many deaths as deliveries; then it is given up."""
    async with Supervisor(taker, spares=0) as root:
        events = root.events()
        crash = await outcome(root["a"], Again(1, deadly=True))
        assert "for time 3; it is not delivered again" in str(crash)
        assert 2 == await outcome(root["a"], Again(2))
    deaths = [event async for event in events if isinstance(event, ChildExited) and event.report.reason.abnormal]
    assert 3 == len(deaths)


async def test_two_members_of_a_pool(taker):
    """The members that live take what the dead one had."""
    async with Supervisor(ChildSpec(taker.actor, name="a", size=2), spares=0) as root:
        crash = await outcome(root["a"], Note(1, deadly=True))
        assert isinstance(crash, ActorCrashed)
        assert list(range(8)) == [await outcome(root["a"], Note(number)) for number in range(8)]


async def test_a_text_that_is_no_utf_8(taker):
    """What its decoding says is quoted: it fails that message, and ends no life."""
    async with Supervisor(taker) as root:
        with pytest.raises(UndecodableMessage, match=r"no file \\udcff"):
            await root["a"].ask(Unreadable(), timeout=DEADLINE)
        assert 1 == await outcome(root["a"], Note(1))
        assert 1 == root.snapshot().children[0].life
