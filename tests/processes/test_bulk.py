"""Many messages of one call, with real processes: every actor, pools, other actors; and every fate over kill -9."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from actors import ActorCrashed, HandlerError
from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from supervisor.store import SQLiteStore
from tests.support.bank import Bank, Pay
from tests.support.bank import Note as Record
from tests.support.killing import collect, kill_often
from tests.support.senders import (
    AsyncScholar,
    AsyncSender,
    ConcurrentScholar,
    Large,
    Note,
    Noted,
    Refused,
    Scholar,
    Spell,
    Square,
    Squares,
    SyncSender,
    Tell,
)

pytestmark = pytest.mark.processes

AT_ONCE = Backoff(initial=0.0, cap=0.0)
MANY = 3000  # messages: several parts, and more than a window


async def test_each_kind_of_actor_answers_in_order():
    """Numbers, texts, large replies and errors, in one call; tells are all handled, in order."""
    async with Supervisor(
        ChildSpec(Scholar, name="sync"),
        ChildSpec(AsyncScholar, name="async"),
        ChildSpec(ConcurrentScholar, name="concurrent"),
        start="parallel",
    ) as root:
        for name in ("sync", "async", "concurrent"):
            ref = root[name]
            assert [n**2 for n in range(MANY)] == await ref.ask_many([Square(n) for n in range(MANY)], timeout=60)
            mixed = [Square(3), Spell(4), Refused(), Large(2**20), Square(5), Large(100_000), Note(7), Spell(6)]
            three, four, refused, large, five, middle, nothing, six = await ref.ask_many(mixed, timeout=60)
            assert (9, "number 4", 25, None, "number 6") == (three, four, five, nothing, six)
            assert (bytes(2**20), bytes(100_000)) == (large, middle)
            assert isinstance(refused, HandlerError)
            await ref.tell_many([Note(n) for n in range(MANY)])
            assert [7, *range(MANY)] == await ref.ask(Noted(), timeout=60)


async def test_pools_and_other_actors():
    """Members share them; actors send them to each other; what waits for room is taken part by part."""
    async with Supervisor(
        ChildSpec(Scholar, name="one", mailbox=100),
        ChildSpec(Scholar, name="full", mailbox=100, overflow="fail"),
        ChildSpec(Scholar, name="pool", size=2),
        ChildSpec(AsyncSender, name="async"),
        ChildSpec(SyncSender, name="sync"),
        start="parallel",
    ) as root:
        squares = [n**2 for n in range(300)]
        assert squares == await root["pool"].ask_many([Square(n) for n in range(300)], timeout=60)
        for sender in ("async", "sync"):
            for to in ("one", "pool"):
                assert squares == await root[sender].ask(Squares(to, 300), timeout=60)
            assert ["NoSuchActor"] * 2 == await root[sender].ask(Squares("nobody", 2), timeout=60)
        assert "ok" == await root["async"].ask(Tell("one", MANY), timeout=60)
        assert list(range(MANY)) == await root["one"].ask(Noted(), timeout=60)
        assert "NoSuchActor 0" == await root["async"].ask(Tell("nobody", 5), timeout=60)
        os.kill(next(child.pid for child in root.which_children() if child.name == "full"), signal.SIGSTOP)
        assert "MailboxFull 100" == await root["async"].ask(Tell("full", 150), timeout=60)
        call = partial(root["one"].call_many, [Square(n) for n in range(300)], timeout=60)
        assert squares == await asyncio.to_thread(call)
        os.kill(next(child.pid for child in root.which_children() if child.name == "full"), signal.SIGKILL)


async def test_every_message_of_a_call_has_exactly_one_fate_over_kills(tmp_path: Path):
    """Money is never begun twice, notes are all taken, order holds, and the list says of each how far it came."""
    book, letters, dice = tmp_path / "book", [], random.Random(7)
    results: dict[tuple[str, int], object] = {}
    told: list[tuple[str, int]] = []
    async with Supervisor(
        ChildSpec(Bank, args=(str(book),), name="bank", backoff=AT_ONCE, max_deliveries=1000),
        intensity=Intensity.unlimited(),
    ) as root:
        bank = root["bank"]
        burying = asyncio.create_task(collect(root, letters))
        killing = asyncio.create_task(kill_often(root, 12, dice))
        number = 0
        while not killing.done():
            asked = [dice.choice((Pay, Record))(0, number + n) for n in range(200)]
            number += 200
            for message, result in zip(asked, await bank.ask_many(asked, timeout=None), strict=True):
                results[key_of(message)] = result
            notes = [dice.choice((Pay, Record))(0, number + n) for n in range(100)]
            number += 100
            await bank.tell_many(notes)
            told += map(key_of, notes)
        await bank.ask(Record(1, 0), timeout=60)
    burying.cancel()
    begun, ended = read(book)
    dead = Counter(key_of(letter.message) for letter in letters)
    assert max(dead.values(), default=1) == 1
    for key in told:
        money = key[0] == "pay"
        assert begun[key] == 1 or not money or key in dead
        assert ended[key] >= 1 or key in dead
        assert money or key not in dead
    for (kind, number), result in results.items():
        key = kind, number
        if isinstance(result, ActorCrashed):
            assert kind == "pay"
            assert result.started is True
            assert result.finished is (key not in dead)
            assert ended[key] == 1 or key in dead
        else:
            assert result == number
            assert ended[key] >= 1
        assert kind == "note" or begun[key] <= 1


def key_of(message):
    return ("pay" if isinstance(message, Pay) else "note"), message.number


def read(book: Path) -> tuple[Counter, Counter]:
    """How often each message was begun and ended; begun in order, unless it is begun again."""
    begun, ended, last = Counter(), Counter(), -1
    for line in book.read_text().splitlines():
        step, kind, sender, number = line.split()
        if sender == "1":
            continue
        key = kind, int(number)
        if step == "end":
            ended[key] += 1
        else:
            if not begun[key]:
                assert last < key[1], "a message overtook another"
                last = key[1]
            begun[key] += 1
    return begun, ended


async def test_many_messages_to_a_durable_actor_are_stored_together(tmp_path: Path):
    """Each has its own outcome; what one durable actor tells another is settled with what it handles."""
    store = SQLiteStore(tmp_path / "many.db", sync="normal")
    async with Supervisor(
        ChildSpec(Scholar, name="one", durable=True),
        ChildSpec(AsyncSender, name="sender", durable=True),
        start="parallel",
        store=store,
    ) as root:
        await root["one"].tell_many([Note(n) for n in range(50)])
        mixed = await root["one"].ask_many([Square(3), Refused(), Spell(4)], timeout=60)
        assert (9, "number 4") == (mixed[0], mixed[2])
        assert isinstance(mixed[1], HandlerError)
        assert "ok" == await root["sender"].ask(Tell("one", 50), timeout=60)
        assert [n**2 for n in range(50)] == await root["sender"].ask(Squares("one", 50), timeout=60)
        assert [*range(50), *range(50)] == await root["one"].ask(Noted(), timeout=60)
