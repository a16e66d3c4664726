"""SQLiteStore: what is handed over is there after the next open, group by group."""

from __future__ import annotations

import asyncio
import stat
import threading
import time
from types import SimpleNamespace

import pytest

from actors.errors import UsageError
from supervisor.store import SQLiteStore, StoreError
from supervisor.store.errors import NoSuchRecord
from supervisor.store.records import KnownKey, MailboxSummary, RecoveredMailbox, StoredState
from supervisor.store.sqlite import database
from supervisor.store.sqlite.database import Database
from supervisor.store.writes import (
    Accept,
    AcceptTells,
    Begin,
    DeadLetterWrite,
    Delay,
    DeleteSchedule,
    DropDeadLetter,
    FallDue,
    PutSchedule,
    RequeueDeadLetter,
    SaveState,
    ScheduleRan,
    ScheduleRow,
    Settle,
)
from tests.support.stored import accept, death, looked_at, outcome, row, seqs, settle


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.db"


@pytest.fixture(params=["full", "normal"])
async def store(path, request):
    opened = SQLiteStore(path, sync=request.param)
    await opened.open()
    yield opened
    await opened.close()


async def reopened(store):
    await store.close()
    await store.open()


# ---- messages


async def test_messages_are_there_after_the_next_open(store):
    """In order, with all their fields."""
    everything = row(
        2, b"\x00\xff", kind=1, sender="/root/a", deadline=5.5, sent_at=4.5, routing_key=b"k", attachments=b"a", key="o"
    )
    await store.commit([Accept("ledger", [row(1, sent_at=1.5), everything])])
    await reopened(store)
    first, second = await store.messages("ledger", 0, 10)
    assert (*row(1, sent_at=1.5), 0) == first
    assert (*everything, 0) == second
    assert await store.recover("ledger") == RecoveredMailbox(2, 2, 0, {})


async def test_a_mailbox_is_read_by_windows(store):
    """Each window goes on behind the last number of the one before."""
    await store.commit(accept("ledger", *range(1, 301)))
    await store.commit(accept("other", *range(1, 20)))
    assert list(range(1, 101)) == seqs(await store.messages("ledger", 0, 100))
    assert list(range(201, 301)) == seqs(await store.messages("ledger", 200, 500))
    assert await store.messages("ledger", 300, 10) == []
    assert await store.messages("unknown", 0, 10) == []


@pytest.mark.parametrize("count", [1, 7, 8, 63, 64, 65, 200, 1000])
async def test_any_number_of_messages(store, count):
    """Statements take several rows at once; none is lost between them."""
    await store.commit([Accept("ledger", [row(seq, b"%d" % seq) for seq in range(1, count + 1)])])
    assert [b"%d" % seq for seq in range(1, count + 1)] == [
        message.payload for message in await store.messages("ledger", 0, 2000)
    ]
    assert (await store.recover("ledger")).waiting == count


@pytest.mark.parametrize("count", [1, 9, 65, 400])
async def test_tells_that_are_stored_together(store, count):
    """Each is a message as others are."""
    names, payloads = [f"C{n % 3}" for n in range(count)], [b"%d" % n for n in range(count)]
    await store.commit([AcceptTells("ledger", 5, "/root/a", 4.5, names, payloads)])
    assert [
        (*row(seq, payload, message_type=name, sender="/root/a", sent_at=4.5), 0)
        for seq, name, payload in zip(range(5, 5 + count), names, payloads, strict=True)
    ] == await store.messages("ledger", 0, 2000)
    assert await store.recover("ledger") == RecoveredMailbox(4 + count, count, 0, {})


async def test_settled_messages_are_gone(store):
    """Ranges may meet, and come in any order; the last number stays known."""
    await store.commit(accept("ledger", *range(1, 11)))
    await store.commit([Settle("ledger", [(7, 9), (1, 2), (3, 3), (5, 5)])])
    assert seqs(await store.messages("ledger", 0, 10)) == [4, 6, 10]
    await store.commit([Settle("ledger", [(1, 10)])])
    assert await store.recover("ledger") == RecoveredMailbox(10, 0, 0, {})


async def test_how_often_a_message_was_begun_is_kept(store):
    """Over the death of the daemon."""
    await store.commit(accept("ledger", 1, 2))
    await store.commit([Begin("ledger", [(1, 2), (2, 2)])])
    await reopened(store)
    assert [message.deliveries for message in await store.messages("ledger", 0, 10)] == [0, 2]


async def test_groups_handed_over_together_are_one_transaction(path, monkeypatch):
    """What is handed over while the store is at work waits for one commit, not for one each."""
    sizes = []
    stored = Database.store
    monkeypatch.setattr(Database, "store", lambda self, groups: sizes.append(len(groups)) or stored(self, groups))
    store = SQLiteStore(path)
    await store.open()
    held = threading.Event()
    blocked = store._thread.call(held.wait)
    commits = [store.commit(accept("ledger", seq)) for seq in range(1, 501)]
    held.set()
    await asyncio.gather(blocked, *commits)
    await store.close()
    assert sizes[-1] == sum(sizes[-1:])
    assert len(sizes) <= 2
    assert sum(sizes) == 500


async def test_a_wrong_group_fails_alone(store):
    """The others of the same moment are stored; nothing of the wrong one is."""
    await store.commit([Accept("ledger", [row(1, key="order-1")])])
    good, again, letter, other = (
        store.commit([*accept("ledger", 2)]),
        store.commit([*accept("other", 1), Accept("ledger", [row(9, key="order-1")])]),
        store.commit([*accept("other", 2), DropDeadLetter(77)]),
        store.commit(accept("ledger", 3)),
    )
    await asyncio.gather(good, other)
    with pytest.raises(StoreError, match="SQLITE_CONSTRAINT"):
        await again
    with pytest.raises(NoSuchRecord, match="no dead letter 77"):
        await letter
    assert seqs(await store.messages("ledger", 0, 10)) == [1, 2, 3]
    assert await store.messages("other", 0, 10) == []
    assert await store.recover("other") == RecoveredMailbox(0, 0, 0, {})


# ---- state, keys


async def test_state_is_replaced(store):
    """Each member of a pool has its own."""
    await store.commit(
        [SaveState("ledger", "", "Balances", b"1", 1.0), SaveState("ledger", "x/1", "Balances", b"2", 2.0)]
    )
    await store.commit([SaveState("ledger", "", "Balances", b"3", 3.0)])
    await reopened(store)
    assert (await store.recover("ledger")).states == {
        "": StoredState("Balances", b"3", 3.0),
        "x/1": StoredState("Balances", b"2", 2.0),
    }


async def test_a_key_finds_its_message_then_its_outcome(store):
    """Also after the next open."""
    assert await store.find_key("ledger", "order-42") is None
    await store.commit(accept("ledger", 1, key="order-42"))
    assert await store.find_key("ledger", "order-42") == KnownKey(1, None, None)
    assert await store.find_key("other", "order-42") is None
    await store.commit(settle("ledger", 1, outcomes=[outcome("order-42", 5, b"paid")]))
    await reopened(store)
    assert await store.find_key("ledger", "order-42") == KnownKey(1, 5, b"paid")
    with pytest.raises(StoreError, match="UNIQUE"):
        await store.commit(accept("ledger", 2, key="order-42"))


async def test_a_key_without_an_outcome_is_forgotten(store):
    """A message that was withdrawn may be sent again."""
    await store.commit(accept("ledger", 1, key="order-42"))
    await store.commit(settle("ledger", 1))
    assert await store.find_key("ledger", "order-42") is None


async def test_outcomes_are_kept_for_a_while(path):
    """Then the key is as good as new."""
    store = SQLiteStore(path, keep_keys=3600)
    await store.open()
    await store.commit([Accept("ledger", [row(1, key="old"), row(2, key="new")])])
    now = time.time()
    await store.commit(settle("ledger", 1, 2, outcomes=[outcome("old", settled_at=now - 4000), outcome("new")]))
    await reopened(store)
    store._database._swept = 0.0
    await store.commit(accept("ledger", 3))
    assert await store.find_key("ledger", "old") is None
    assert await store.find_key("ledger", "new") is not None
    await store.close()


async def test_a_key_is_free_as_soon_as_its_outcome_is_too_old(path):
    """Also between two sweeps, and where nothing has been written since."""
    store = SQLiteStore(path, keep_keys=3600)
    await store.open()
    await store.commit(accept("ledger", 1, key="order-42"))
    await store.commit(settle("ledger", 1, outcomes=[outcome("order-42", settled_at=time.time() - 4000)]))
    assert await store.find_key("ledger", "order-42") is None
    await store.commit(accept("ledger", 2, key="order-42"))
    assert await store.find_key("ledger", "order-42") == KnownKey(2, None, None)
    await store.close()


async def test_a_clock_that_is_set_forward_makes_no_key_old(path, monkeypatch):
    """As on a machine that learns the time after its daemon has started: the same key is not handled again."""
    store = SQLiteStore(path, keep_keys=3600)
    await store.open()
    await store.commit(accept("ledger", 1, key="order-42"))
    await store.commit(settle("ledger", 1, outcomes=[outcome("order-42", settled_at=time.time())]))
    set_forward = SimpleNamespace(time=lambda: time.time() + 1e7, monotonic=time.monotonic)
    monkeypatch.setattr(database, "time", set_forward)
    store._database._swept = 0.0
    await store.commit(accept("ledger", 2, key="order-43"))
    assert await store.find_key("ledger", "order-42") is not None
    await store.close()


# ---- delayed messages, dead letters, schedules


async def test_delayed_messages_fall_due(store):
    """They wait by the time they are due; then they are the last of their mailbox."""
    await store.commit([Delay("ledger", 50.0, row(1, b"late")), Delay("ledger", 20.0, row(2, b"soon", key="k"))])
    await store.commit(accept("ledger", 3))
    await reopened(store)
    assert await store.recover("ledger") == RecoveredMailbox(3, 1, 2, {})
    soon, late = await store.delayed("ledger", 10)
    assert (soon.due, soon.message.payload, late.due, late.message.payload) == (20.0, b"soon", 50.0, b"late")
    assert await store.delayed("ledger", 10, (20.0, 2)) == [late]
    await store.commit([FallDue("ledger", [(4, 2)])])
    assert [(message.seq, message.payload) for message in await store.messages("ledger", 0, 9)] == [
        (3, b"x"),
        (4, b"soon"),
    ]
    assert await store.find_key("ledger", "k") == KnownKey(4, None, None)
    assert await store.recover("ledger") == RecoveredMailbox(4, 2, 1, {})
    with pytest.raises(NoSuchRecord, match="fell due before"):
        await store.commit([FallDue("ledger", [(5, 2)])])


async def test_a_dead_letter_keeps_its_bytes_and_can_be_requeued(store):
    """As a new message, with its number, and begun by no life."""
    await store.commit(
        [Accept("ledger", [row(1, b"bad", sender="/root/a", routing_key=b"k", attachments=b"a"), row(2)])]
    )
    await store.commit([DeadLetterWrite("ledger", [death(1, "poison", "boom", 3)])])
    await reopened(store)
    assert (await store.recover("ledger")).waiting == 1
    (letter,) = await store.dead_letters("ledger", 10)
    assert (letter.mailbox, letter.reason, letter.detail, letter.deliveries) == ("ledger", "poison", "boom", 3)
    assert (letter.payload, letter.sender, letter.routing_key, letter.attachments) == (b"bad", "/root/a", b"k", b"a")
    assert await store.dead_letter(letter.id) == letter
    await store.commit([RequeueDeadLetter(letter.id, "ledger", 3)])
    _, again = await store.messages("ledger", 0, 10)
    assert (again.seq, again.payload, again.deliveries, again.attachments) == (3, b"bad", 0, b"a")
    assert await store.dead_letters(None, 10) == []
    assert await store.dead_letter(letter.id) is None
    with pytest.raises(NoSuchRecord, match="requeued or dropped before"):
        await store.commit([RequeueDeadLetter(letter.id, "ledger", 4)])


async def test_dead_letters_are_listed_by_windows_and_dropped(store):
    """Of one mailbox, or of all."""
    await store.commit([*accept("a", 1, 2, 3), *accept("b", 1)])
    await store.commit([DeadLetterWrite("a", [death(1), death(2), death(3)]), DeadLetterWrite("b", [death(1)])])
    everything = await store.dead_letters(None, 10)
    assert [letter.mailbox for letter in everything] == ["a", "a", "a", "b"]
    assert await store.dead_letters("a", 2) == everything[:2]
    assert await store.dead_letters("a", 2, everything[1].id) == everything[2:3]
    await store.commit([DropDeadLetter(everything[0].id)])
    assert await store.dead_letters("a", 10) == everything[1:3]
    assert await store.dead_letters("none", 10) == []


async def test_schedules_are_kept(store):
    """Until they are deleted; a new one of the same name takes the place of the former."""
    nightly = ScheduleRow("nightly", "ledger", "cron 0 3 * * *", "Close", b"m", 5.0)
    await store.commit([PutSchedule(nightly), PutSchedule(nightly._replace(name="hourly"))])
    nightly = nightly._replace(schedule="cron 0 4 * * *", after=6.0)
    await store.commit([PutSchedule(nightly)])
    await reopened(store)
    assert await store.schedules() == [ScheduleRow("hourly", "ledger", "cron 0 3 * * *", "Close", b"m", 5.0), nightly]
    await store.commit([DeleteSchedule("hourly")])
    assert await store.schedules() == [nightly]
    await store.commit([ScheduleRan("nightly", 7.0), ScheduleRan("hourly", 7.0)])  # a run that was under way
    assert await store.schedules() == [nightly._replace(after=7.0)]


async def test_a_schedule_that_is_put_again_goes_on_where_it_was(store):
    """Where a run is under way, only the store knows whether that is stored: a run is neither lost nor repeated."""
    nightly = ScheduleRow("nightly", "ledger", "cron 0 3 * * *", "Close", b"m", 5.0)
    await store.commit([PutSchedule(nightly)])
    await store.commit([PutSchedule(nightly._replace(payload=b"new", after=8.0))])
    assert await store.schedules() == [nightly._replace(payload=b"new")]
    await store.commit([ScheduleRan("nightly", 8.0)])
    await store.commit([PutSchedule(nightly)])
    assert await store.schedules() == [nightly._replace(after=8.0)]
    await store.commit([PutSchedule(nightly._replace(child="other", after=9.0))])
    assert await store.schedules() == [nightly._replace(child="other", after=9.0)]


# ---- mailboxes


async def test_mailboxes_are_summed_up(store):
    """Those that have something."""
    await store.commit(
        [*accept("a", 1, 2), Delay("a", 9.0, row(3)), *accept("b", 1), SaveState("c", "", "S", b"", 1.0)]
    )
    await store.commit([*settle("b", 1), DeadLetterWrite("a", [death(1)])])
    assert await store.mailboxes() == [MailboxSummary("a", 1, 1, 1, 0), MailboxSummary("c", 0, 0, 0, 1)]


async def test_a_mailbox_moves(store):
    """Behind what waits in the other one, with keys, states and dead letters."""
    await store.commit([Accept("old", [row(1, b"1"), row(2, b"2", key="k"), row(3, b"3", key="both")])])
    await store.commit(
        [*accept("new", 1, 2, key=None), *accept("new", 3, key="both"), SaveState("old", "", "S", b"", 1.0)]
    )
    await store.commit([DeadLetterWrite("old", [death(1)]), Delay("old", 9.0, row(4))])
    assert await store.move("old", "new") == 3
    moved = await store.messages("new", 3, 10)
    assert [(message.payload, message.key) for message in moved] == [(b"2", "k"), (b"3", None)]
    assert (await store.find_key("new", "k")).seq == moved[0].seq
    assert [summary.mailbox for summary in await store.mailboxes()] == ["new"]
    assert await store.recover("new") == RecoveredMailbox(6, 5, 1, {"": StoredState("S", b"", 1.0)})
    assert len(await store.dead_letters("new", 10)) == 1
    assert await store.move("old", "new") == 0
    with pytest.raises(StoreError, match="name another mailbox"):
        await store.move("new", "new")


async def test_the_states_of_a_pool_move(store):
    """Each process of the other pool has the one of its number, whatever the pools' names."""
    kept = [SaveState("shop/old", member, "S", b"%d" % at, 1.0) for at, member in enumerate(["", "old/0", "old/11"])]
    await store.commit(kept)
    await store.move("shop/old", "new")
    states = {member: state.data for member, state in (await store.recover("new")).states.items()}
    assert states == {"": b"0", "new/0": b"1", "new/11": b"2"}


async def test_a_mailbox_moves_there_and_back(store):
    """Any number of times: what waits keeps its order, a key its message, and numbers stay small."""
    await store.commit(accept("books", *range(1, 4)))
    await store.commit([*accept("ledger", 5, 7), *accept("ledger", 9, key="order-9")])
    for _ in range(100):
        assert 3 == await store.move("ledger", "accounts")
        assert 3 == await store.move("accounts", "ledger")
    rows = await store.messages("ledger", 0, 10)
    assert rows == sorted(rows)
    assert 3 == len(rows)
    assert (await store.recover("ledger")).last_seq == rows[-1].seq < 1000
    assert (await store.find_key("ledger", "order-9")).seq == rows[-1].seq
    assert 3 == await store.move("books", "ledger")
    assert [1, 2, 3] == [row.seq - rows[-1].seq for row in (await store.messages("ledger", rows[-1].seq, 10))]


async def test_a_mailbox_is_discarded(store):
    """With all it has; its name begins anew."""
    await store.commit([*accept("old", 1, 2, 3), SaveState("old", "", "S", b"", 1.0), Delay("old", 9.0, row(4))])
    await store.commit([DeadLetterWrite("old", [death(1)])])
    assert await store.discard("old") == 3
    assert await store.mailboxes() == []
    assert await store.discard("old") == 0
    await store.commit(accept("old", 1))
    assert await store.recover("old") == RecoveredMailbox(1, 1, 0, {})


# ---- open, closed


async def test_what_was_handed_over_is_stored_before_it_closes(path):
    """And its future is done."""
    store = SQLiteStore(path)
    await store.open()
    commits = [store.commit(accept("ledger", seq)) for seq in range(1, 101)]
    await store.close()
    assert all(commit.done() for commit in commits)
    assert len(looked_at(path, "SELECT * FROM messages")) == 100


async def test_a_closed_store_refuses(path):
    """With what to do; nothing hangs."""
    store = SQLiteStore(path)
    with pytest.raises(StoreError, match="is not open"):
        await store.commit(accept("ledger", 1))
    with pytest.raises(StoreError, match="is not open"):
        await store.recover("ledger")
    await store.close()


async def test_a_new_store_is_its_owners_alone(store, path):
    """The log and the index, too; a mode that was given to a file stays."""
    await store.commit(accept("ledger", 1))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert {modes["shop.db"], modes["shop.db-wal"], modes["shop.db-shm"]} == {0o600}
    path.chmod(0o640)
    await reopened(store)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_a_cancelled_commit_harms_no_other(store):
    """The one who waits may go away."""
    first = store.commit(accept("ledger", 1))
    first.cancel()
    await store.commit(accept("ledger", 2))
    assert seqs(await store.messages("ledger", 0, 5)) == [1, 2]


def test_a_loop_that_is_closed_without_it_releases_the_file(path):
    """The thread notices, stores what it was given, and ends."""
    store = SQLiteStore(path)

    async def begin():
        await store.open()
        return store.commit(accept("ledger", 1)), store._thread._thread

    loop = asyncio.new_event_loop()
    _, thread = loop.run_until_complete(begin())
    loop.close()
    thread.join(30)
    assert not thread.is_alive()
    other = SQLiteStore(path)

    async def look():
        await other.open()
        found = await other.messages("ledger", 0, 5)
        await other.close()
        return found

    assert seqs(asyncio.run(look())) == [1]


async def test_a_shell_sees_readable_views(store, path):
    """Beside the daemon, which goes on."""
    await store.commit([*accept("ledger", 1, key="order-42"), Delay("ledger", 9.0, row(2))])
    await store.commit([*accept("ledger", 3), DeadLetterWrite("ledger", [])])
    assert looked_at(path, "SELECT mailbox, seq, kind, message_type, key FROM messages") == [
        ("ledger", 1, "tell", "Charge", "order-42"),
        ("ledger", 3, "tell", "Charge", None),
    ]
    for view in ("delayed_messages", "outcomes", "states", "dead_letters", "schedules"):
        looked_at(path, f"SELECT * FROM {view}")


@pytest.mark.parametrize(
    "wrong", [{"path": ""}, {"path": ":memory:"}, {"path": 5}, {"path": "a\0b"}, {"sync": "fast"}, {"keep_keys": -1}]
)
def test_arguments_that_cannot_work_are_refused(path, wrong):
    """Before anything is opened."""
    with pytest.raises(UsageError):
        SQLiteStore(**({"path": path} | wrong))
    assert not path.exists()
