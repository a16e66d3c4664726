"""The place of a store goes away under a running tree: nothing gives up, or is begun twice; it goes on by itself."""

from __future__ import annotations

import os
import shutil
import signal

import msgspec
import pytest

from supervisor import ChildSpec, Intensity, Supervisor
from supervisor.store import SQLiteStore, StoreError
from supervisor.store.writes import Begin
from tests.support.ledgers import Charge, HoldNote, Ledger, Note, Notebook, Once, Show
from tests.support.stored import accept, looked_at
from tests.support.waiting import Watch, until

pytestmark = pytest.mark.processes


def tree(folder, *specs):
    return Supervisor(*specs, store=SQLiteStore(folder / "shop.db"), intensity=Intensity(len(specs), 600.0))


def book(tmp_path):
    return ChildSpec(Notebook, name="book", args=(str(tmp_path / "notes"),), durable=True)


async def replaced(root, watch, *names):
    """Kill children, and wait for their next lives. A start that fails would be one restart too many."""
    for child in root.which_children():
        if child.name in names:
            os.kill(child.pid, signal.SIGKILL)
    for name in names:
        await watch.started(name)


async def test_a_death_while_the_directory_is_gone(tmp_path):
    """The next lives start; what is told meanwhile is refused, and what is told when it is back is handled."""
    folder = tmp_path / "data"
    folder.mkdir()
    specs = ChildSpec(Ledger, name="ledger", durable=True), ChildSpec(Ledger, name="plain")
    async with tree(folder, *specs) as root:
        watch = Watch(root)
        await root["ledger"].ask(Charge(1, "before"))
        folder.rename(tmp_path / "elsewhere")
        await replaced(root, watch, "plain")
        await replaced(root, watch, "ledger")
        with pytest.raises(StoreError, match=r"moved, deleted or replaced .* Put it back"):
            await root["ledger"].tell(Charge(1, "refused"))
        assert 1 == await root["plain"].ask(Charge(1))
        assert str(root.health()).startswith("degraded: the store of /root fails")
        (tmp_path / "elsewhere").rename(folder)
        await until(lambda: "healthy" == str(root.health()), "it goes on by itself")
        await root["ledger"].tell(Charge(1, "after"))
        assert ["before", "after"] == (await root["ledger"].ask(Show())).entries


async def test_the_store_says_what_a_life_without_a_box_has_begun(tmp_path):
    """The daemon dies with it, and the next one does not begin it again."""
    folder, notes = tmp_path / "data", tmp_path / "notes"
    folder.mkdir()
    async with tree(folder, book(tmp_path)) as root:
        watch = Watch(root)
        shutil.rmtree(folder / "shop.db-boxes")
        (folder / "shop.db-boxes").touch()  # no directory can be made here
        await replaced(root, watch, "book")
        await root["book"].tell(HoldNote("begun", str(tmp_path / "gate")))
        await until(notes.exists)
        begun = "SELECT deliveries FROM messages"
        await until(lambda: [(1,)] == looked_at(folder / "shop.db", begun))
        left = tmp_path / "left"  # as the death of the daemon leaves it
        left.mkdir()
        for file in ("shop.db", "shop.db-wal"):
            shutil.copy(folder / file, left)
        (tmp_path / "gate").touch()
    async with tree(left, book(tmp_path)) as root:
        await root["book"].ask(Note("after"))
        (letter,) = await root.store.dead_letters("book")
        assert ("crashed_while_handling", "begun") == (letter.reason, letter.message.text)
        assert "is not begun twice" in letter.detail
    assert ["begun", "after"] == notes.read_text().split()


async def test_what_was_given_and_not_begun_is_begun_by_the_next_daemon(tmp_path):
    """That is stored when the life ends, so that after a clean stop nothing is in doubt."""
    async with tree(tmp_path, ChildSpec(Ledger, name="ledger", durable=True, shutdown=0.1)) as root:
        await root["ledger"].ask(Charge(1))
        (child,) = root.which_children()
        os.kill(child.pid, signal.SIGSTOP)
        await root["ledger"].tell(Once(1, "once"))
        await until(lambda: [(1,)] == looked_at(tmp_path / "shop.db", "SELECT deliveries FROM messages"))
    async with tree(tmp_path, ChildSpec(Ledger, name="ledger", durable=True)) as root:
        assert ["once"] == (await root["ledger"].ask(Show())).entries


@pytest.mark.parametrize("key", [None, "order-1"])
async def test_at_most_once_without_a_box_is_not_begun_twice(tmp_path, key):
    """The folder of boxes was not restored with the file."""
    store = SQLiteStore(tmp_path / "shop.db")
    await store.open()
    payload = msgspec.msgpack.encode(Once(1, "once"))
    await store.commit([*accept("ledger", 1, message_type="Once", payload=payload, key=key), Begin("ledger", [(1, 1)])])
    await store.close()
    async with tree(tmp_path, ChildSpec(Ledger, name="ledger", durable=True)) as root:
        assert [] == (await root["ledger"].ask(Show())).entries
        (letter,) = await root.store.dead_letters("ledger")
        assert "crashed_while_handling" == letter.reason
