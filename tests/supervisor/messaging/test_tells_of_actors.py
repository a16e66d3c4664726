"""Tells of an actor that wait for room in another's mailbox: what their sender hears, what they become without it."""

from __future__ import annotations

import asyncio

import pytest

from actors import Actor, Message, handles
from supervisor import ChildSpec, DeadReason, RestartPolicy
from supervisor.testing import InlineSupervisor
from supervisor.testing.killing import kill
from tests.support.waiting import dead_letter

ROOM = 10  # in the mailbox of the receiver


class Note(Message[None]):
    number: int


class Noted(Message[list[int]]):
    """Which numbers have come?"""


class Reader(Actor):
    """Takes a tenth of a second for a note."""

    def __init__(self) -> None:
        self.noted: list[int] = []

    @handles
    async def note(self, msg: Note) -> None:
        self.noted.append(msg.number)
        await asyncio.sleep(0.1)

    @handles
    async def which(self, msg: Noted) -> list[int]:
        return self.noted


class Tell(Message[int]):
    """Tell the reader so many notes in one call, for so many seconds; how many were taken?"""

    count: int
    seconds: float


class Ask(Message[None]):
    """Ask the reader in one call, and withdraw that at once."""


class Wait(Message[None]):
    """Tell the reader notes that find no room."""


class Writer(Actor):
    concurrency = 2

    @handles
    async def tell(self, msg: Tell) -> int:
        try:
            async with asyncio.timeout(msg.seconds):
                await self.context.actor("reader").tell_many([Note(number) for number in range(msg.count)])
        except TimeoutError as late:
            taken: int = getattr(late.__cause__, "taken", -1)
            return taken
        return msg.count

    @handles
    async def ask(self, msg: Ask) -> None:
        asking = asyncio.create_task(self.context.actor("reader").ask_many([Note(1), Note(2)]))
        await asyncio.sleep(0)
        asking.cancel()

    @handles
    async def wait(self, msg: Wait) -> None:
        reader = self.context.actor("reader")
        notes = [Note(number) for number in range(2 * ROOM)]
        many = asyncio.create_task(reader.tell_many(notes))
        await asyncio.sleep(0.01)
        await asyncio.gather(many, reader.tell(Note(2 * ROOM)))


def tree() -> InlineSupervisor:
    return InlineSupervisor(
        ChildSpec(Reader, mailbox=ROOM), ChildSpec(Writer, restart=RestartPolicy.TEMPORARY), name="root"
    )


@pytest.mark.parametrize(("count", "seconds"), [(200, 1.0), (1500, 1.0), (200, 0.0)])
async def test_a_call_that_is_cancelled_says_how_many_were_taken(count, seconds):
    """Those are sent, no other is, and the next call comes behind them."""
    async with tree() as root:
        taken = await root["writer"].ask(Tell(count, seconds))
        assert (ROOM if seconds else 0) <= taken < count
        assert await root["writer"].ask(Tell(3, 100.0), timeout=200) == 3
        assert await root["reader"].ask(Noted(), timeout=200) == [*range(taken), *range(3)]


async def test_what_waits_for_room_when_its_sender_ends_counts_as_sent():
    """So where the receiver goes down for good, too, each is a dead letter: there is nobody else who could be told."""
    async with tree() as root:
        letters = root.dead_letters()
        await root["writer"].tell(Wait())
        await asyncio.sleep(0.05)
        kill(root["writer"])
        await root["writer"].terminated()
        await root.terminate_child("reader")
        dead = [await dead_letter(letters) for _ in range(2 * ROOM + 1)]
        assert dead.pop(0).reason is DeadReason.CRASHED  # the writer's own message
        assert {(letter.actor, letter.sender, letter.reason) for letter in dead} == {
            ("/root/reader", "/root/writer", DeadReason.ACTOR_STOPPED)
        }
        numbers = sorted(letter.message.number for letter in dead if isinstance(letter.message, Note))
        assert numbers == list(range(1, 2 * ROOM + 1))  # the first was being handled


async def test_asks_that_are_withdrawn_at_once_are_not_handled():
    async with tree() as root:
        await root["writer"].ask(Ask())
        assert await root["reader"].ask(Noted()) == []
