"""The journal of a store: what is acknowledged is in it, its tables follow, and nobody who asks can tell."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3

import pytest

from supervisor.store import SQLiteStore, StoreError
from supervisor.store.records import RecoveredMailbox, StoredState
from supervisor.store.sqlite.journal import Journal, row_of
from supervisor.store.writes import Accept, AcceptTells, Begin, DropDeadLetter, SaveState, Settle, joined, outside
from tests.support.stored import accept, looked_at, outcome, row, seqs, settle
from tests.support.waiting import until

TELLS = AcceptTells("ledger", 5, None, 2.5, ("Add", "Add", "Take"), (b"a", b"b", b"c"))
STATE = SaveState("ledger", "", "Book", b"\x01", 3.5)
# What a daemon of version 2 of the schema wrote; it is read for good.
KEPT = bytes.fromhex(
    "959301a66c6564676572919a0100a6436861726765c40178c0cb3ff8000000000000cb3ff4000000000000c0c0c09702a66c"
    "656467657205c0cb400400000000000093a3416464a3416464a454616b6593c40161c40162c401639303a66c656467657291"
    "9202019404a66c656467657291920606909605a66c6564676572a0a4426f6f6bc40101cb400c000000000000"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


@pytest.fixture
async def store(path):
    opened = SQLiteStore(path)
    await opened.open()
    yield opened
    await opened.close()


def killed(path, folder):
    """What a kill of the daemon leaves of a store; its path."""
    folder.mkdir()
    for file in (path, path.with_name(f"{path.name}-wal")):
        shutil.copy(file, folder / file.name)
    return folder / path.name


async def test_what_a_kill_leaves_in_the_journal_is_there(path, store, tmp_path):
    """Before the tables have it."""
    await store.commit(accept("ledger", 1, 2, 3))
    await store.commit([TELLS, STATE])
    await store.commit(settle("ledger", 2, 6))
    left = killed(path, tmp_path / "left")
    assert looked_at(left, "SELECT count(*) FROM journal") != [(0,)]
    after = SQLiteStore(left)
    await after.open()
    assert looked_at(left, "SELECT count(*) FROM journal") == [(0,)]
    assert seqs(await after.messages("ledger", 0, 100)) == [1, 3, 5, 7]
    assert await after.recover("ledger") == RecoveredMailbox(7, 4, 0, {"": StoredState("Book", b"\x01", 3.5)})
    await after.close()


async def test_the_tables_follow(path, store):
    """Nothing has to be read for that."""
    await store.commit(accept("ledger", 1))
    await until(lambda: looked_at(path, "SELECT mailbox, seq FROM messages") == [("ledger", 1)])
    assert looked_at(path, "SELECT count(*) FROM journal") == [(0,)]


async def test_the_tables_follow_while_more_comes(path, store):
    """By age."""
    last = 0

    async def seen():
        return bool(looked_at(path, "SELECT 1 FROM messages LIMIT 1"))

    while not await seen():
        last += 1
        await store.commit(accept("ledger", last))
    assert (await store.recover("ledger")).waiting == last


async def test_a_message_that_has_come_and_gone_is_never_written(store):
    """Its number stays given."""
    statements = []
    trace = store._thread.call(lambda: store._database._connection.set_trace_callback(statements.append))
    await trace
    await store.commit([TELLS, *accept("ledger", 8)])
    await store.commit([Settle("ledger", [(5, 8)])])
    assert await store.messages("ledger", 0, 10) == []
    assert await store.recover("ledger") == RecoveredMailbox(8, 0, 0, {})
    assert [text for text in statements if "INSERT" in text]
    assert not [text for text in statements if "INTO message" in text]


async def test_what_is_read_while_the_tables_cannot_be_written(store):
    """Is what was acknowledged; the rest of it is told."""
    await store.commit(accept("ledger", 1, 2, payload=bytes(3000)))
    await store.commit(accept("other", 1, payload=bytes(3000)))
    connection = store._database._connection
    await store._thread.call(lambda: connection.execute("PRAGMA max_page_count = 1").fetchone())
    with pytest.raises(StoreError, match="is full"):
        await store.commit(accept("ledger", *range(3, 30), payload=bytes(4000)))
    assert seqs(await store.messages("ledger", 0, 100)) == [1, 2]
    assert seqs(await store.messages("other", 0, 100)) == [1]
    await store._thread.call(lambda: connection.execute("PRAGMA max_page_count = 10000").fetchone())
    await store.commit(accept("ledger", 3))
    assert seqs(await store.messages("ledger", 0, 100)) == [1, 2, 3]


def test_what_may_fail_by_itself_is_not_taken():
    """It needs to be known at once."""
    assert row_of([accept("ledger", 1), [STATE]]) is not None
    assert row_of([accept("ledger", 1), [DropDeadLetter(1)]]) is None
    assert row_of([accept("ledger", 1, key="order-1")]) is None
    assert row_of([settle("ledger", 1, outcomes=[outcome("order-1")])]) is None
    assert row_of([accept("ledger", 1, payload=bytes(2 * 1024 * 1024))]) is None


WRITTEN = [
    [Accept("ledger", [row(1, sent_at=1.25, deadline=1.5)])],
    [TELLS, Begin("ledger", [(2, 1)])],
    [Settle("ledger", [(6, 6)]), STATE],
]


async def test_rows_of_before_are_read(path, store):
    """By later versions, too: the form of a row never changes."""
    await store.close()
    shell = sqlite3.connect(path)
    shell.execute("INSERT INTO journal (writes) VALUES (?)", (KEPT,))
    shell.commit()
    shell.close()
    await store.open()
    first, *others = await store.messages("ledger", 0, 100)
    assert (first.seq, first.payload, first.deadline, first.sent_at, first.deliveries) == (1, b"x", 1.5, 1.25, 2)
    assert [(one.seq, one.message_type, one.payload) for one in others] == [(5, "Add", b"a"), (7, "Take", b"c")]
    assert row_of(WRITTEN) == KEPT


async def test_a_row_that_cannot_be_read(path, store):
    """Is told at the start, and left as it is."""
    await store.close()
    shell = sqlite3.connect(path)
    shell.execute("INSERT INTO journal (writes) VALUES (x'9199')")
    shell.commit()
    shell.close()
    with pytest.raises(StoreError, match=r"row 1 of its table `journal` cannot be read .* restore a backup"):
        await store.open()
    assert looked_at(path, "SELECT hex(writes) FROM journal") == [("9199",)]
    shell = sqlite3.connect(path)
    shell.execute("DELETE FROM journal")
    shell.commit()
    shell.close()
    await store.open()


async def test_many_small_groups_are_applied_in_pieces(store, monkeypatch):
    """The memory that they take has a bound."""
    monkeypatch.setattr("supervisor.store.sqlite.journal.LONGEST", 1000)
    await asyncio.gather(*(store.commit(accept("ledger", seq)) for seq in range(1, 200)))
    assert isinstance(store._database._journal, Journal)
    assert store._database._journal._size <= 1000
    assert (await store.recover("ledger")).waiting == 199


def test_outside():
    """As numbers that are counted one by one."""
    for ranges in ([], [(3, 4)], [(1, 2), (5, 5)], [(1, 9)], [(0, 3), (6, 8), (10, 12)], [(4, 4), (6, 6)]):
        for first in range(1, 9):
            for last in range(first, 12):
                over = {number for begin, end in ranges for number in range(begin, end + 1)}
                wanted = [(number, number) for number in range(first, last + 1) if number not in over]
                assert outside(first, last, joined(ranges)) == joined(wanted)
