"""Groups: which messages of senders are stored together, and when they are handed over."""

from __future__ import annotations

import asyncio

import pytest

from actors.wire.framing import BESIDE
from supervisor import ChildSpec, Supervisor
from supervisor.core.delivery.messages import Classes
from supervisor.durable.stored import StoredMailbox
from supervisor.store import SQLiteStore
from supervisor.store.records import RecoveredMailbox
from supervisor.store.writes import AcceptTells, SaveState, Settle
from tests.support.ledgers import Charge, Ledger, Show
from tests.support.messages import Blob, Sync

pytestmark = pytest.mark.processes


class Groups(SQLiteStore):
    """Notes how many tells each group has, and what is stored with others."""

    def __init__(self, path):
        super().__init__(path)
        self.groups = []
        self.kinds = []

    def commit(self, group):
        self.kinds.append([type(write) for write in group])
        count = sum(len(write.payloads) for write in group if isinstance(write, AcceptTells))
        if count:
            self.groups.append(count)
        return super().commit(group)


async def test_a_sender_alone_does_not_wait_for_others_and_many_share_a_group(tmp_path):
    """A message after one that was alone is handed over at once, and what comes meanwhile together."""
    store = Groups(tmp_path / "shop.db")
    async with Supervisor(ChildSpec(Ledger, name="ledger", durable=True), store=store, spares=0) as root:
        ledger = root["ledger"]
        await ledger.tell(Charge(1, "1"))
        second = asyncio.ensure_future(ledger.tell(Charge(1, "2")))
        await asyncio.sleep(0)  # its first step
        assert [1, 1] == store.groups
        await second
        await asyncio.gather(*(ledger.tell(Charge(1, str(number))) for number in range(3, 63)))
        assert [1, 1, 1, 59] == store.groups
        await asyncio.gather(*(ledger.tell(Charge(1, str(number))) for number in range(63, 123)))
        assert [1, 1, 1, 59, 60] == store.groups, "nobody was alone before"
        assert [str(number) for number in range(1, 123)] == (await ledger.ask(Show())).entries


async def test_no_message_tears_apart_what_is_stored_together(tmp_path):
    """Outcomes never leave without the state after them, also where a message comes between the two."""
    store = Groups(tmp_path / "shop.db")
    await store.open()
    stored = StoredMailbox(store, "ledger", RecoveredMailbox(0, 0, 0, {}), asyncio.get_running_loop(), print)
    stored.on_entered_batch = lambda batch: None
    await stored.accept_tell("Charge", b"1", Classes({}, []), None)  # alone
    with stored.together():
        stored.settle_tells([(1, 1)])
        entering = stored.accept_tell("Charge", b"2", Classes({}, []), None)
        stored.keep("", "Book", b"state")
    await entering
    await stored.settled()
    assert [Settle, SaveState] == next(kinds for kinds in store.kinds if Settle in kinds)
    await store.close()


async def test_the_next_group_is_handed_over_before_the_last_one_goes_to_the_process(tmp_path):
    """The store is at work while the loop dispatches, and not after that."""
    store = Groups(tmp_path / "shop.db")
    await store.open()
    loop = asyncio.get_running_loop()
    seen = []
    stored = StoredMailbox(store, "ledger", RecoveredMailbox(0, 0, 0, {}), loop, print)
    stored.on_entered_batch = lambda batch: loop.call_soon(lambda: seen.append(list(store.groups)))

    async def send():
        for _ in range(3):
            await stored.accept_tell("Charge", b"1", Classes({}, []), None)

    await asyncio.gather(send(), send())
    assert [[2, 2], [2, 2, 2], [2, 2, 2]] == [*seen, store.groups][:3]
    await store.close()


async def test_a_large_tell_is_encoded_once(tmp_path, monkeypatch):
    """Not on the fast path first, whose check would decode all of it, too."""
    store = SQLiteStore(tmp_path / "shop.db")
    async with Supervisor(ChildSpec(Sync, name="a", durable=True), store=store, spares=0) as root:
        intake = root["a"].mailbox.intake
        looked = []
        monkeypatch.setattr(intake, "_check", lambda data: looked.append(len(data)))
        assert intake.try_store(Blob(bytes(BESIDE))) is None
        assert not looked
        small = intake.try_store(Blob(b"x"))
        assert 1 == len(looked)
        await small
