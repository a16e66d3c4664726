"""Two ledgers on a disk that fails, one call after the other: exact, as over any kill."""

from __future__ import annotations

import asyncio
import errno
import random
from collections import Counter

import pytest

from supervisor import ChildSpec, Supervisor
from supervisor.durable import stored
from supervisor.store import SQLiteStore, StoreError
from supervisor.store.sqlite import connection
from tests.support.disk import FAULTS, Disk, library
from tests.support.ledgers import Charge, Ledger, Show, Transfer
from tests.support.waiting import until

OTHER = {"a": "b", "b": "a"}

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(library() is None, reason="this Python's SQLite is linked in: its calls cannot be reached"),
]


class Clients:
    """Send charges and transfers, and note what each ledger should have."""

    def __init__(self, root):
        self.root = root
        self.expected = {"a": Counter(), "b": Counter()}
        self.refused = 0

    async def tell(self, ledger, name):
        """Once: what is refused is not there."""
        try:
            await self.root[ledger].tell(Charge(1, name))
        except StoreError:
            self.refused += 1
        else:
            self.expected[ledger][name] += 1

    async def transfer(self, ledger, name):
        """Until there is an answer: with its key it takes effect once."""
        while True:
            try:
                await self.root[ledger].ask(Transfer(1, OTHER[ledger], name), key=name, timeout=60)
            except StoreError:
                self.refused += 1
            else:
                break
        self.expected[ledger][name] += 1
        self.expected[OTHER[ledger]][name] += 1


def trees(tmp_path):
    specs = [ChildSpec(Ledger, name=name, durable=True) for name in "ab"]
    return Supervisor(*specs, store=SQLiteStore(tmp_path / "shop.db"))


async def books(root):
    return {name: await root[name].ask(Show(), timeout=60) for name in "ab"}


async def test_ledgers_are_exact_whatever_call_fails(tmp_path, monkeypatch):
    """Refused tells are not there, all else is there once; it goes on by itself, and is there at the next start."""
    monkeypatch.setattr(stored, "RETRY", 0.01)
    monkeypatch.setattr(connection, "_CHECKPOINT", 10)
    dice = random.Random()
    with Disk(tmp_path / "shop.db") as disk:
        async with trees(tmp_path) as root:
            clients = Clients(root)
            for turn, (function, error) in enumerate(FAULTS * 2):
                disk.fail(function, disk.calls[function] + dice.randint(1, 5), error, dice.choice((1, 3)))
                names = [f"{turn}.{number}" for number in range(8)]
                await asyncio.gather(
                    *(clients.tell(dice.choice("ab"), f"told {name}") for name in names),
                    *(clients.transfer(dice.choice("ab"), name) for name in names),
                )
                disk.heal()
            await until(lambda: all(root[name]._mailbox.drained for name in "ab"))
            kept = await books(root)
    assert clients.refused
    assert clients.expected == {name: Counter(book.entries) for name, book in kept.items()}
    assert 0 == sum(book.balance for book in kept.values()) - sum(
        name.startswith("told") for book in kept.values() for name in book.entries
    )
    async with trees(tmp_path) as root:
        assert kept == await books(root)


async def test_ledgers_are_exact_after_a_power_cut(tmp_path):
    """In the middle of work, with sync="full": what was acknowledged before is there once, nothing is there twice."""
    dice = random.Random()

    async def work(client):
        for number in range(8):
            await clients.transfer(dice.choice("ab"), f"{client}.{number}")
            await clients.tell(dice.choice("ab"), f"told {client}.{number}")

    with Disk(tmp_path / "shop.db") as disk:
        disk.copy_at_sync(tmp_path / "synced")
        async with trees(tmp_path) as root:
            clients = Clients(root)
            working = [asyncio.create_task(work(client)) for client in range(4)]
            wanted = dice.randint(1, 50)
            await until(lambda: sum(book.total() for book in clients.expected.values()) >= wanted)
            before = {name: Counter(book) for name, book in clients.expected.items()}
            thread = root.store._store._thread  # between two transactions, so that the copies are whole
            await thread.call(lambda: disk.cut_power(tmp_path / "cut"))
            await asyncio.gather(*working)
    async with trees(tmp_path / "cut") as root:
        await until(lambda: all(root[name].mailbox.drained for name in "ab"))
        kept = {name: Counter(book.entries) for name, book in (await books(root)).items()}
    assert all(before[name] <= kept[name] for name in "ab")
    assert {1} == {times for book in kept.values() for times in book.values()}
    moved = [{name for name in book if not name.startswith("told")} for book in kept.values()]
    assert moved[0] == moved[1]


async def test_a_tell_of_an_actor_that_the_disk_has_no_room_for_is_a_dead_letter_that_says_so(tmp_path):
    """Its sender does not wait, and a durable mailbox is never full: it is `not_stored`, not `undecodable`."""
    specs = ChildSpec(Ledger, name="a"), ChildSpec(Ledger, name="b", durable=True)
    with Disk(tmp_path / "shop.db") as disk:
        root = Supervisor(*specs, store=SQLiteStore(tmp_path / "shop.db"))
        letters = root.dead_letters()
        async with root:
            disk.fail("pwrite", disk.calls["pwrite"] + 1, errno.ENOSPC, 1000)
            await root["a"].ask(Transfer(1, "b"))
            letter = await anext(letters)
            assert ("not_stored", "/root/a") == (letter.reason.value, letter.sender)
            assert "its disk, or its quota, is full" in letter.detail
            assert 1 == root.snapshot().children[1].fates["not_stored"]
            disk.heal()
