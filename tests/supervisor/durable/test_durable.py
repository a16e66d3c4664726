"""Durable actors: what was acknowledged is there after the end of the tree, of the actor and of the daemon."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
import time

import msgspec
import pytest

from actors import (
    Actor,
    ActorCrashed,
    ActorStopped,
    AskTimeout,
    Codec,
    HandlerError,
    Jobs,
    Message,
    Rejected,
    UndecodableMessage,
    UsageError,
    handles,
)
from supervisor import Backoff, ChildSpec, Intensity, InvalidSpec, Supervisor, SupervisorSpec
from supervisor.durable.intake import intake
from supervisor.store import SQLiteStore, StoreError
from supervisor.store.writes import AcceptTells
from tests.support.actors import Puppet
from tests.support.keepers import AsyncKeeper, Keeper, Put
from tests.support.ledgers import (
    Charge,
    Customers,
    Entry,
    Fail,
    Kill,
    Ledger,
    Note,
    NoteAgain,
    Notebook,
    Once,
    Refuse,
    Show,
    Transfer,
)
from tests.support.waiting import Watch, until

pytestmark = pytest.mark.processes

AT_ONCE = Backoff(initial=0.0, cap=0.0, jitter=0.0)


def ledger(name="ledger", actor=Ledger, **options):
    return ChildSpec(actor, name=name, durable=True, **{"backoff": AT_ONCE, **options})


def tree(tmp_path, *specs, **options):
    return Supervisor(
        *(specs or (ledger(),)),
        store=SQLiteStore(tmp_path / "shop.db"),
        **{"intensity": Intensity(100, 5.0), "spares": 0, **options},
    )


class Parcel:
    """Its codec fails in the process of an actor alone."""


def unpack(raw: int) -> Parcel:
    if multiprocessing.parent_process() is not None:
        raise OSError("no such parcel")
    return Parcel()


class Open(Message[int]):
    parcel: Parcel


class Opener(Actor):
    codecs = (Codec(Parcel, encode=lambda _: 1, decode=unpack),)

    @handles
    def open(self, msg: Open) -> int:
        return 1


# ---- over the end of the tree


async def test_a_message_that_its_actor_cannot_read_has_one_outcome(tmp_path):
    """The same error for the first and for every later ask with its key."""
    said = set()
    async with tree(tmp_path, ledger(actor=Opener)) as root:
        for _ in range(2):
            with pytest.raises(
                UndecodableMessage, match="/root/ledger cannot read the message: .*no such parcel"
            ) as error:
                await root["ledger"].ask(Open(Parcel()), key="order-1")
            said.add(str(error.value))
    assert 1 == len(said)


async def test_state_keys_and_messages_outlive_the_tree(tmp_path):
    """Asks, tells, delayed tells, keys: a new tree on the same store goes on where the last one ended."""
    async with tree(tmp_path) as root:
        assert 5 == await root["ledger"].ask(Charge(5, "a"), key="order-1")
        assert [5, 5] == await asyncio.gather(*(root["ledger"].ask(Charge(5, "a"), key="order-1") for _ in range(2)))
        await root["ledger"].tell(Charge(2, "b"), key="order-2")
        await root["ledger"].tell(Charge(2, "b"), key="order-2")
        with pytest.raises(Rejected):
            await root["ledger"].ask(Refuse(), key="order-3")
        await root["ledger"].tell(Charge(1, "late"), delay=0.05)
        await root["ledger"].tell(Charge(2, "b"), delay=0.05, key="order-2")
        await asyncio.gather(*(root["ledger"].tell(Charge(1, "d"), delay=0.05, key="order-4") for _ in range(3)))
        await root["ledger"].tell(Charge(1, "d"), key="order-4")
        with pytest.raises(ActorCrashed, match="was a tell, which keeps no reply; it was handled"):
            await root["ledger"].ask(Charge(2, "b"), key="order-2")
    async with tree(tmp_path) as root:
        assert 5 == await root["ledger"].ask(Charge(5, "a"), key="order-1")
        with pytest.raises(Rejected, match="no"):
            await root["ledger"].ask(Refuse(), key="order-3")
        await until_async(lambda: has_entry(root, "d"))
        book = await root["ledger"].ask(Show())
        assert (9, ["a", "b", "late", "d"]) == (book.balance, book.entries)


async def has_entry(root, name):
    return name in (await root["ledger"].ask(Show())).entries


async def until_async(condition):
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_what_waits_at_a_stop_is_handled_at_the_next_start(tmp_path):
    """More than the window holds, in order; the asker of one that waits hears that it is stored."""
    async with tree(tmp_path, ledger(mailbox=10)) as root:
        ref = root["ledger"]
        os.kill(root.snapshot().children[0].pid, signal.SIGSTOP)
        await asyncio.gather(*(ref.tell(Charge(1, str(n))) for n in range(100)))
        asking = asyncio.create_task(ref.ask(Charge(1, "asked"), timeout=60))
        await until(lambda: ref.mailbox.depth == 101)
        assert 101 == root.snapshot().children[0].mailbox
        assert "101 other messages" in await late(ref)
        root.request_kill()
        with pytest.raises(ActorStopped, match="stored"):
            await asking
    assert 101 == ref.mailbox.depth
    async with tree(tmp_path, ledger(mailbox=10)) as root:
        assert 102 == await root["ledger"].ask(Charge(1, "last"), timeout=60)
        assert [*map(str, range(100)), "asked", "last"] == (await root["ledger"].ask(Show())).entries


async def test_a_clock_that_is_set_ahead_ends_no_ask(tmp_path, monkeypatch):
    """Also of one that is only in the store: who asks waits by a clock that nobody sets."""
    async with tree(tmp_path, ledger(mailbox=2)) as root:
        pid = root.snapshot().children[0].pid
        os.kill(pid, signal.SIGSTOP)
        asking = [asyncio.create_task(root["ledger"].ask(Charge(1, str(n)), timeout=600)) for n in range(10)]
        await until(lambda: root["ledger"].mailbox.depth == 10)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 5 * 3600)
        os.kill(pid, signal.SIGCONT)
        assert [*range(1, 11)] == await asyncio.gather(*asking)


async def late(ref):
    """What an ask says that is stored and not answered."""
    for timeout in (0.01, 0.1, 1, 10):
        with pytest.raises(AskTimeout) as error:
            await ref.ask(Show(), timeout=timeout)
        if "did not store" not in str(error.value):
            break
    return str(error.value)


async def test_an_ask_that_is_not_stored_in_time_says_so(tmp_path):
    """It was not sent: it does not wait for room."""
    store, go_on = SQLiteStore(tmp_path / "shop.db"), threading.Event()
    async with Supervisor(ledger(), store=store, spares=0) as root:
        working = store._thread.call(go_on.wait)
        with pytest.raises(AskTimeout, match="did not store Charge within") as error:
            await root["ledger"].ask(Charge(1), timeout=0.01)
        assert error.value.started is False
        go_on.set()
        await working
        assert 1 == await root["ledger"].ask(Charge(1))


async def failure_of(asking):
    """The text of its error; no traceback is kept, whose frames would have its future."""
    try:
        await asking
    except AskTimeout as error:
        return str(error)


async def test_an_ask_that_is_stored_just_when_its_time_is_over_ends_once(tmp_path):
    """It is withdrawn, and what becomes of it is told to nobody else."""
    store, go_on, lost = SQLiteStore(tmp_path / "shop.db"), threading.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: lost.append(context))
    async with Supervisor(ledger(), store=store, spares=0) as root:
        store._thread.call(go_on.wait)
        asking = asyncio.create_task(root["ledger"].ask(Charge(1), timeout=0.1))
        await until(lambda: root["ledger"]._mailbox.stored._handed_over, "it is handed over")
        go_on.set()
        stored = store._thread.call(lambda: None)
        time.sleep(0.2)  # noqa: ASYNC251 - the loop hears of both in one turn
        assert "did not store Charge within" in await failure_of(asking)
        await stored
        await until(lambda: not root["ledger"]._mailbox.depth, "it has ended")
        assert 1 == await root["ledger"].ask(Charge(1))
    del asking, stored
    gc.collect()
    assert [] == lost


class Piece(Message[None]):
    data: bytes


class Sizes(Message[list[int]]): ...


class Pieces(Actor):
    def __init__(self) -> None:
        self.sizes: list[int] = []

    def save(self) -> list[int]:
        return self.sizes

    def load(self, state: list[int]) -> None:
        self.sizes = state

    @handles
    def piece(self, msg: Piece) -> None:
        self.sizes.append(len(msg.data))

    @handles
    def show(self, msg: Sizes) -> list[int]:
        return self.sizes


@pytest.mark.parametrize(
    ("sizes", "writes"),
    [([1, 2, 3], 1), ([1000] * 1500, 6), ([5, 2**20, 7], 0)],
    ids=["small", "two groups", "one travels beside its message"],
)
async def test_bytes_of_one_call_are_stored_together(tmp_path, sizes, writes):
    """In one write for each piece of a frame's size, and one commit for each thousand."""
    store, seen = SQLiteStore(tmp_path / "shop.db"), []
    commit = store.commit
    async with Supervisor(ledger(actor=Pieces, mailbox=10), store=store, spares=0) as root:
        store.commit = lambda group: seen.extend(one for one in group if isinstance(one, AcceptTells)) or commit(group)
        await root["ledger"].tell_many([Piece(bytes(size)) for size in sizes])
        assert writes == len(seen)
        assert sizes == await root["ledger"].ask(Sizes(), timeout=60)


@pytest.mark.parametrize("mailbox", [3, 1000])
async def test_what_is_sent_in_one_turn_keeps_its_order(tmp_path, mailbox):
    """Tells that are stored together, asks, large messages and many of one call; more than the window holds, too."""
    async with tree(tmp_path, ledger(mailbox=mailbox)) as root:
        book, names = root["ledger"], [str(n) for n in range(12)]
        await asyncio.gather(
            book.tell(Charge(1, "0")),
            book.tell(Charge(1, "1")),
            book.ask(Charge(1, "2")),
            book.tell(Charge(1, "3")),
            book.tell_many([Charge(1, name) for name in names[4:8]]),
            book.tell(Charge(1, "8")),
            book.tell(Charge(1, "9")),
            book.tell(Charge(1, "x" * 5000)),
            book.tell(Charge(1, "10")),
        )
        await book.tell(Charge(1, "11"))
        entries = (await book.ask(Show())).entries
        assert ["x" * 5000] == entries[10:11]
        assert names[:4] + names[8:10] == [name for name in entries if name in ("0", "1", "2", "3", "8", "9")]
        assert names[4:8] == [name for name in entries if name in names[4:8]]
        assert ["10", "11"] == entries[-2:]
    async with tree(tmp_path) as root:
        assert entries == (await root["ledger"].ask(Show())).entries
        assert not await root["ledger"]._mailbox.stored.store.messages("ledger", 0, 10)


# ---- over the death of the actor


async def test_a_death_undoes_what_is_not_settled_and_the_message_is_handled_again(tmp_path):
    """On the state before it; a message that always kills is poison, a dead letter, and the rest goes on."""
    async with tree(tmp_path) as root:
        await root["ledger"].ask(Charge(5, "a"))
        assert await root["ledger"].ask(Kill(times=2)) is None
        assert ["a", "killed"] == (await root["ledger"].ask(Show())).entries
        letters = root.dead_letters()
        with pytest.raises(ActorCrashed, match="for time 3"):
            await root["ledger"].ask(Kill(times=100), key="k")
        assert "poison" == (await anext(letters)).reason
        with pytest.raises(ActorCrashed, match="for time 3"):
            await root["ledger"].ask(Kill(times=0), key="k")
        assert 6 == await root["ledger"].ask(Charge(1))


async def test_an_exception_leaves_the_state_before_it(tmp_path):
    """The tells before it, which were not settled yet, are not lost either."""
    async with tree(tmp_path) as root:
        for n in range(20):
            await root["ledger"].tell(Charge(1, str(n)))
        with pytest.raises(HandlerError, match="after half of it"):
            await root["ledger"].ask(Fail())
        book = await root["ledger"].ask(Show())
        assert (20, [str(n) for n in range(20)]) == (book.balance, book.entries)


async def test_at_most_once_is_not_begun_twice(tmp_path):
    """It is a dead letter when its process died under it."""
    async with tree(tmp_path) as root:
        assert 3 == await root["ledger"].ask(Once(3, "x"))
        letters = root.dead_letters()
        for _ in range(2):
            with pytest.raises(ActorCrashed, match="not delivered again") as crash:
                await root["ledger"].ask(Once(9, "z", kill=True), key="z")
            assert (True, False) == (crash.value.started, crash.value.finished)
        assert "crashed_while_handling" == (await anext(letters)).reason
        assert 4 == await root["ledger"].ask(Once(1, "y"))
        assert ["x", "y"] == (await root["ledger"].ask(Show())).entries


async def test_at_most_once_of_one_call_that_had_not_begun_waits_in_the_store(tmp_path):
    """They were in flight, and noted as begun; what the stopped process had not begun is handled at the next start."""
    async with tree(tmp_path) as root:
        await root["ledger"].tell_many([Once(1, str(n)) for n in range(1000)])
        await root.terminate_child("ledger")
    async with tree(tmp_path) as root:
        await until_async(lambda: balance_is(root, "ledger", 1000))
        assert [str(n) for n in range(1000)] == (await root["ledger"].ask(Show())).entries


async def test_a_transfer_enters_the_other_ledger_once(tmp_path):
    """However often the sender is killed between sending and settling, and the other restarted with it."""
    async with tree(tmp_path, ledger(), ledger("other"), strategy="rest_for_one") as root:
        for n in range(10):
            asking = asyncio.create_task(root["ledger"].ask(Transfer(1, "other", str(n)), timeout=60.0))
            await asyncio.sleep(0)
            if n % 3 == 0:
                os.kill(root.snapshot().children[0].pid, signal.SIGKILL)
            await asking
        await until_async(lambda: balance_is(root, "other", 10))
        assert -10 == (await root["ledger"].ask(Show())).balance
        assert [str(n) for n in range(10)] == (await root["other"].ask(Show())).entries


async def balance_is(root, name, wanted):
    return (await root[name].ask(Show())).balance == wanted


async def test_a_transfer_to_a_ledger_that_is_down_waits_in_the_store(tmp_path):
    """Stopped, drained, or at the end of the tree, where it stops first: what has left one is in the other."""
    ledgers = ledger("a"), ledger("b")
    async with tree(tmp_path, *ledgers) as root:
        await root.terminate_child("b")
        await root["a"].ask(Transfer(1, "b", "stopped"))
        await root.restart_child("b")
        await root.drain("b")
        await root["a"].ask(Transfer(1, "b", "drained"))
    async with tree(tmp_path, *ledgers) as root:
        asks = [asyncio.create_task(root["a"].ask(Transfer(1, "b", str(n)), key=str(n))) for n in range(200)]
        await asks[50]
    await asyncio.gather(*asks, return_exceptions=True)
    async with tree(tmp_path, *ledgers) as root:
        given = await root["a"].ask(Show())
        taken = await root["b"].ask(Show())
        assert ["stopped", "drained", *map(str, range(200))] == given.entries == taken.entries
        assert 0 == given.balance + taken.balance


async def test_without_a_state_the_table_holds(tmp_path):
    """What was begun and is not idempotent is a dead letter, what is idempotent is handled again."""
    file = tmp_path / "notes"
    async with tree(tmp_path, ledger(actor=Notebook, args=(str(file),), max_deliveries=2)) as root:
        await root["ledger"].ask(Note("a"))
        letters = root.dead_letters()
        with pytest.raises(ActorCrashed):
            await root["ledger"].ask(NoteAgain("b", kill=True))
        assert "poison" == (await anext(letters)).reason
        await root["ledger"].ask(Note("c"))
    assert ["a", "b", "b", "c"] == file.read_text().split()


@pytest.mark.parametrize("actor", [Keeper, AsyncKeeper])
async def test_recycling_begins_with_what_is_stored(tmp_path, actor):
    async with tree(tmp_path, ledger(actor=actor, max_messages=5)) as root:
        assert list(range(1, 31)) == [await root["ledger"].ask(Put(1)) for _ in range(30)]
        await root.recycle("ledger")
        assert 31 == await root["ledger"].ask(Put(1))
    async with tree(tmp_path, ledger(actor=actor, max_messages=5)) as root:
        assert 32 == await root["ledger"].ask(Put(1))


async def test_an_actor_that_was_terminated_keeps_its_messages(tmp_path):
    """`restart_child` goes on with them."""
    async with tree(tmp_path) as root:
        os.kill(root.snapshot().children[0].pid, signal.SIGSTOP)
        for n in range(5):
            await root["ledger"].tell(Charge(1, str(n)))
        os.kill(root.snapshot().children[0].pid, signal.SIGKILL)
        await root.terminate_child("ledger")
        with pytest.raises(ActorStopped):
            await root["ledger"].tell(Charge(1))
        await root.restart_child("ledger")
        assert 6 == await root["ledger"].ask(Charge(1))
        await root.terminate_child("ledger")
        await root.delete_child("ledger")
        await root.start_child(ledger())
        assert 7 == await root["ledger"].ask(Charge(1))


async def test_nested_trees_have_mailboxes_of_their_own(tmp_path):
    spec = SupervisorSpec(ledger(), name="shop")
    async with tree(tmp_path, ledger(), spec) as root:
        assert 1 == await root["ledger"].ask(Charge(1))
        assert 2 == await root["shop/ledger"].ask(Charge(2))
    async with tree(tmp_path, ledger(), spec) as root:
        assert (1, 2) == ((await root["ledger"].ask(Charge(0))), (await root["shop/ledger"].ask(Charge(0))))


async def test_a_renamed_actor_is_told_at_the_start(tmp_path):
    """Its messages stay, and can be moved."""
    async with tree(tmp_path) as root:
        await root["ledger"].ask(Charge(5))
        await root["ledger"].tell(Charge(1), delay=1000)
    root = tree(tmp_path, ledger("book"))
    events = root.events()
    async with root:
        told = await anext(events)
        assert "ledger" == told.mailbox
        assert (1, 0) == (told.waiting, told.dead_letters)


# ---- what is refused


async def test_tell_nowait_names_tell(tmp_path):
    async with tree(tmp_path) as root:
        with pytest.raises(UsageError, match=r"await ref\.tell\(Charge"):
            root["ledger"].tell_nowait(Charge(1))
        for key in ("", "x" * 256, 5, "\ud800"):
            with pytest.raises(UsageError, match="1 to 255 characters"):
                await root["ledger"].ask(Charge(1), key=key)


async def test_a_key_needs_a_durable_actor():
    async with Supervisor(ChildSpec(Ledger), spares=0) as root:
        with pytest.raises(UsageError, match="is not durable"):
            await root["ledger"].ask(Charge(1), key="k")
        with pytest.raises(UsageError, match="is not durable"):
            await root["ledger"].tell(Charge(1), key="k")


class Overlapping(Actor):
    concurrency = 2

    def save(self) -> int:
        return 0

    def load(self, state: int) -> None: ...


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (ledger(actor=Overlapping), "no moment between its messages"),
        (ledger(overflow="drop_oldest"), "never full"),
        (ledger(mailbox_bytes=1000), "bounded by the disk"),
        (ChildSpec(Jobs, durable=True), "a job belongs to its caller"),
    ],
)
def test_what_cannot_be_durable_is_refused(tmp_path, spec, text):
    with pytest.raises(InvalidSpec, match=text):
        tree(tmp_path, spec)


def test_durable_needs_a_store():
    with pytest.raises(InvalidSpec, match="has no store"):
        Supervisor(SupervisorSpec(ledger(), name="shop"))


# ---- a store that fails


class Failing(SQLiteStore):
    """Refuses to store while `fails`."""

    fails = False

    def commit(self, group):
        if self.fails:
            raise StoreError("the disk is full")
        return super().commit(group)


async def test_a_full_disk_is_the_sender_s_error_and_the_tree_lives_on(tmp_path):
    """What was handled meanwhile is acknowledged once it is stored."""
    store = Failing(tmp_path / "shop.db")
    async with Supervisor(ledger(), store=store, spares=0) as root:
        assert 1 == await root["ledger"].ask(Charge(1))
        watch = Watch(root)
        os.kill(root.snapshot().children[0].pid, signal.SIGSTOP)
        asking = asyncio.create_task(root["ledger"].ask(Charge(1), timeout=60))
        await until(lambda: root["ledger"]._mailbox.depth == 1)
        store.fails = True
        os.kill(root.snapshot().children[0].pid, signal.SIGCONT)
        for send in (
            root["ledger"].ask(Charge(1)),
            root["ledger"].tell(Charge(1)),
            root["ledger"].ask(Charge(1), key="k"),
        ):
            with pytest.raises(StoreError, match="disk is full"):
                await send
        await watch.find(lambda event: getattr(event, "detail", "") == "the disk is full")
        assert not asking.done()
        assert "degraded: the store of /root fails: the disk is full" == str(root.health())
        store.fails = False
        assert 2 == await asking
        assert root.health().ready
        assert 3 == await root["ledger"].ask(Charge(1), key="k")


async def test_health_names_a_store_that_refuses_senders_until_it_works_again(tmp_path):
    """No actor has anything to store meanwhile, and none sends: the store tries by itself."""
    path = tmp_path / "shop.db"
    async with Supervisor(ledger(), store=SQLiteStore(path), spares=0) as root:
        await root["ledger"].ask(Charge(1))
        with pytest.raises(StoreError, match="no dead letter 1"):
            await root.store.requeue(1)
        assert root.health().ready, "what is wrong by itself says nothing of the store"
        path.rename(tmp_path / "elsewhere.db")
        with pytest.raises(StoreError, match="moved"):
            await root["ledger"].tell(Charge(1))
        health = root.health()
        assert (health.status, health.ready, health.outside) == ("degraded", False, True)
        assert str(health).startswith(f"degraded: the store of /root fails: {path}: the file was moved")
        assert "its store fails" in str(root)
        (tmp_path / "elsewhere.db").rename(path)
        await until(lambda: root.health().ready, "the tree finds by itself that the store works")
        assert root.snapshot().store_failure is None


class Silent:
    """A store of one's own that does not say whether it works."""

    def __init__(self, path):
        self._store = SQLiteStore(path)

    def __getattr__(self, name):
        if name == "failure":
            raise AttributeError(name)
        return getattr(self._store, name)


async def test_a_store_need_not_say_whether_it_works(tmp_path):
    """Then the tree does not say it either."""
    async with Supervisor(ledger(), store=Silent(tmp_path / "shop.db"), spares=0) as root:
        assert 1 == await root["ledger"].ask(Charge(1))
        assert root.health().ready
        assert root.snapshot().store_failure is None


class Unreadable(SQLiteStore):
    """Refuses to read messages while `fails`."""

    fails = False

    async def messages(self, mailbox, after, limit):
        if self.fails:
            raise StoreError("the disk has a bad block")
        return await super().messages(mailbox, after, limit)


async def test_messages_that_cannot_be_read_are_told_and_read_later(tmp_path, monkeypatch):
    """Nothing is lost, and the order holds."""
    monkeypatch.setattr(intake, "PATIENCE", 0.01)
    store = Unreadable(tmp_path / "shop.db")
    async with Supervisor(ledger(mailbox=2), store=store, spares=0) as root:
        watch = Watch(root)
        os.kill(root.snapshot().children[0].pid, signal.SIGSTOP)
        await asyncio.gather(*(root["ledger"].tell(Charge(1, str(n))) for n in range(10)))
        store.fails = True
        os.kill(root.snapshot().children[0].pid, signal.SIGCONT)
        await watch.find(lambda event: getattr(event, "detail", "") == "the disk has a bad block")
        store.fails = False
        await until(lambda: root["ledger"].mailbox.drained)
        assert [str(n) for n in range(10)] == (await root["ledger"].ask(Show())).entries


async def test_many_asks_that_are_cancelled_while_they_are_stored_are_not_handled(tmp_path):
    store, go_on = SQLiteStore(tmp_path / "shop.db"), threading.Event()
    async with Supervisor(ledger(), store=store, spares=0) as root:
        working = store._thread.call(go_on.wait)
        asking = asyncio.create_task(root["ledger"].ask_many([Charge(1, str(n)) for n in range(5)]))
        await until(lambda: root["ledger"].mailbox.stored._handed_over)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        go_on.set()
        await working
        assert (await root["ledger"].ask(Show())).entries == []


async def test_many_tells_are_stored_part_by_part(tmp_path):
    """Where a part cannot be stored, those before it were taken, and the error says how many."""
    store = Failing(tmp_path / "shop.db")
    async with Supervisor(ledger(), store=store, spares=0) as root:
        commit, parts = store.commit, []

        def fail_at_the_third(group):
            parts.extend(write for write in group if isinstance(write, AcceptTells))
            store.fails = len(parts) > 2
            return commit(group)

        store.commit = fail_at_the_third
        with pytest.raises(StoreError, match="disk is full") as failed:
            await root["ledger"].tell_many([Charge(1, str(n)) for n in range(3000)])
        store.commit, store.fails = commit, False
        assert 2048 == failed.value.taken
        assert 2048 == await root["ledger"].ask(Charge(0), timeout=60)


@pytest.mark.parametrize(("count", "size"), [(1500, 1), (20, 300_000)], ids=["together", "one by one"])
async def test_a_call_that_is_cancelled_while_it_is_stored_says_how_many_were_taken(tmp_path, count, size):
    """What is being stored is sent even so, as one tell is: so it counts."""
    async with tree(tmp_path) as root:
        telling = asyncio.create_task(root["ledger"].tell_many([Charge(1, "x" * size)] * count))
        for _ in range(3):  # it is checked, and handed over
            await asyncio.sleep(0)
        telling.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await telling
        assert await root["ledger"].ask(Charge(0), timeout=60) == cancelled.value.taken > 0


class Narrow(Puppet):
    """An actor whose state has another type."""

    def save(self) -> list[int]:
        return []

    def load(self, state: list[int]) -> None: ...


async def test_a_state_that_does_not_load_fails_the_start_and_nothing_is_lost(tmp_path):
    async with tree(tmp_path) as root:
        await root["ledger"].ask(Charge(5))
    with pytest.raises(Exception, match=r"in Narrow.load") as failed:
        async with tree(tmp_path, ledger(actor=Narrow), intensity=Intensity(0, 5)):
            pass
    assert "does not decode" in str(failed.value)
    async with tree(tmp_path) as root:
        assert 6 == await root["ledger"].ask(Charge(1))


async def test_a_message_that_no_longer_decodes_is_a_dead_letter_with_its_bytes(tmp_path):
    store = SQLiteStore(tmp_path / "shop.db")
    async with tree(tmp_path) as root:
        await root["ledger"].tell(Charge(5), delay=0.01)
        await root.terminate_child("ledger")
    root = Supervisor(ledger(actor=Keeper), store=store, intensity=Intensity(100, 5), spares=0)
    letters = root.dead_letters()
    async with root:
        letter = await anext(letters)
        assert "undecodable" == letter.reason
        assert "Charge is not a message of the actor any more" == letter.detail
        await until_async(lambda: letters_are(store, 1))
        (stored,) = await store.dead_letters("ledger", 10)
        assert ["Charge", 5, ""] == msgspec.msgpack.decode(stored.payload)


class Paid(Message[int], tag="Charge"):
    """Charge under another name, with a field more."""

    cents: int
    name: str = ""
    note: str = "none"


class Required(Message[int], tag="Charge"):
    cents: int
    name: str
    note: str


class Payments(Actor):
    def __init__(self) -> None:
        self.paid: list[str] = []

    def save(self) -> list[str]:
        return self.paid

    def load(self, state: list[str]) -> None:
        self.paid = state

    @handles
    def pay(self, msg: Paid) -> int:
        self.paid.append(f"{msg.cents} {msg.name} {msg.note}")
        return 0


class Strict(Actor):
    @handles
    def pay(self, msg: Required) -> int: ...


async def test_a_message_class_that_has_changed(tmp_path):
    """Its tag names it; fields go by their place. What lacks a field is a dead letter, and can be sent again."""
    async with tree(tmp_path, ledger("other")) as root:
        await root["other"].tell(Charge(5, "a"), delay=0.01)
        await root.terminate_child("other")
    root = tree(tmp_path, ledger("other", Strict))
    letters = root.dead_letters()
    async with root:
        letter = await anext(letters)
        assert "undecodable" == letter.reason
        assert "at least length 4, got 3" in letter.detail
        await until_async(lambda: letters_are(root.store._store, 1))
        (kept,) = await root.store.dead_letters("other")
        assert ["Charge", 5, "a"] == msgspec.msgpack.decode(kept.payload)
    async with tree(tmp_path, ledger("other", Payments)) as root:
        await root.store.requeue(kept.id)
        await until(lambda: root["other"].mailbox.drained)
        assert ["5 a none"] == msgspec.msgpack.decode(root["other"].mailbox.stored.states[""])


async def letters_are(store, count):
    return len(await store.dead_letters(None, 10)) == count


async def test_what_is_told_around_an_end_and_a_new_start_is_handled_once(tmp_path):
    """Ends and starts of the child while others send to it; each message that was taken is handled once."""
    async with tree(tmp_path) as root:
        taken = []

        async def send():
            for n in range(200):
                try:
                    await root["ledger"].tell(Charge(1, str(n)))
                except (ActorStopped, LookupError):
                    await asyncio.sleep(0.005)
                else:
                    taken.append(str(n))
                await asyncio.sleep(0)

        sending = asyncio.create_task(send())
        for _ in range(4):
            await asyncio.sleep(0.01)
            await root.terminate_child("ledger")
            await root.restart_child("ledger")
        await sending
        await until(lambda: root["ledger"]._mailbox.drained)
        assert taken == (await root["ledger"].ask(Show())).entries


async def test_members_of_a_pool_keep_their_own_states(tmp_path):
    """Over resizing, deaths and the end of the tree nothing is handled twice or lost."""
    async with tree(tmp_path, ledger(size=3)) as root:
        await asyncio.gather(*(root["ledger"].ask(Charge(1)) for _ in range(50)))
        await root.resize("ledger", 4)
        asking = [asyncio.create_task(root["ledger"].ask(Charge(1), timeout=60)) for _ in range(50)]
        for child in root.snapshot().children:
            if child.pid is not None:
                os.kill(child.pid, signal.SIGKILL)
        await asyncio.gather(*asking)
        states = dict(root["ledger"]._mailbox.stored.states)
        assert 100 == sum(msgspec.msgpack.decode(state)["balance"] for state in states.values())
    async with tree(tmp_path, ledger(size=4)) as root:
        await root["ledger"].ask(Charge(1))
        states = root["ledger"]._mailbox.stored.states
        assert 101 == sum(msgspec.msgpack.decode(state)["balance"] for state in states.values())


async def test_a_keyed_pool_finds_the_state_of_each_key_again(tmp_path):
    """What waited at the stop goes to the member that has the key's state; a sibling's death restarts both."""
    spec = ledger(actor=Customers, size=3, routing="by_key", key="customer")
    names = [f"customer {n}" for n in range(12)]
    async with tree(tmp_path, spec, ledger("other"), strategy="one_for_all") as root:
        assert [1] * 12 == await asyncio.gather(*(root["ledger"].ask(Entry(name, 1)) for name in names))
        for child in root.snapshot().children[:3]:
            os.kill(child.pid, signal.SIGSTOP)
        for name in names:
            await root["ledger"].tell(Entry(name, 1))
        root.request_kill()
    async with tree(tmp_path, spec, ledger("other"), strategy="one_for_all") as root:
        assert [3] * 12 == await asyncio.gather(*(root["ledger"].ask(Entry(name, 1)) for name in names))
        asking = [asyncio.create_task(root["ledger"].ask(Entry(name, 1), timeout=60)) for name in names]
        os.kill(root.snapshot().children[3].pid, signal.SIGKILL)
        assert [4] * 12 == await asyncio.gather(*asking)
