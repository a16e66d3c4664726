"""What a daemon reads of a mailbox before it starts the actor: little, but all that may have begun."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actors.wire.codec import encode
from actors.wire.kinds import ASK, TELL
from actors.wire.progress import Progress
from supervisor import Supervisor
from supervisor.durable import durability
from supervisor.durable.durability import Durability
from supervisor.durable.intake import intake
from supervisor.durable.rows import is_plain, restored, runs
from supervisor.process.boxes import LeftBox
from supervisor.specs import ChildSpec
from supervisor.store import SQLiteStore
from supervisor.store.records import StoredMessage
from supervisor.store.writes import AcceptTells, SaveState
from tests.support.ledgers import Charge, Ledger, Show
from tests.support.stored import accept, seqs

ALONE = Progress(7, frozenset(), 0, 0)


def box(progress, given=None):
    return LeftBox(Path("gone.box"), progress, given or {}, bool(given))


@pytest.mark.parametrize(
    ("left", "window", "last", "more"),
    [
        ([], 1000, 3, True),  # enough to begin with
        ([], 2, 2, True),  # no more than the window
        ([], 20, 3, True),
        ([box(ALONE)], 1000, 9, True),  # up to the last that was begun
        ([box(ALONE), box(ALONE, {1: 4, 2: 11})], 1000, 12, True),  # a pool's: up to the last that was given
        ([box(None)], 6, 6, True),  # not known: the window, which is the most that may be given
        ([box(None)], 1000, 20, False),
    ],
)
async def test_what_is_read_first(tmp_path, monkeypatch, left, window, last, more):
    monkeypatch.setattr(durability, "FIRST", 3)
    store = SQLiteStore(tmp_path / "shop.db")
    tree = Durability(store, "/root", asyncio.get_running_loop(), lambda *_: None, lambda *_: None)
    spec = ChildSpec(Ledger, name="ledger", durable=True, mailbox=window)
    await tree.open(spec)
    await store.commit(accept("ledger", *range(1, 21)))
    monkeypatch.setattr(tree.boxes, "left", lambda path: left)
    await tree.prepare(spec, "/root/ledger")
    prepared = tree._prepared["/root/ledger"]
    assert (list(range(1, last + 1)), more) == (seqs(prepared.rows), prepared.more)
    await tree.close()


@pytest.mark.parametrize(
    ("kept", "size", "told"),
    [
        ([""], 1, []),
        (["ledger/0", "ledger/1"], 2, []),
        ([""], 2, [("ledger", [""])]),
        (["ledger/0", "ledger/1", "ledger/2"], 2, [("ledger", ["ledger/2"])]),
        (["", "ledger/0"], 1, [("ledger", ["ledger/0"])]),
    ],
)
async def test_a_state_that_no_process_loads_is_told(tmp_path, kept, size, told):
    """The pool had another size, or the actor was none."""
    heard = []
    store = SQLiteStore(tmp_path / "shop.db")
    tree = Durability(store, "/root", asyncio.get_running_loop(), lambda *_: None, lambda *states: heard.append(states))
    spec = ChildSpec(Ledger, name="ledger", durable=True, size=size)
    await tree.open(spec)
    await store.commit([SaveState("ledger", member, "Book", b"", 1.0) for member in kept])
    await tree.prepare(spec, "/root/ledger")
    assert told == heard
    await tree.close()


def row(seq, kind=TELL, payload=b"x", **fields):
    values = {"sender": None, "deadline": None, "routing_key": None, "attachments": None, "key": None, "deliveries": 0}
    return StoredMessage(seq=seq, kind=kind, message_type="Charge", payload=payload, sent_at=1e9, **values | fields)


def test_plain_tells_that_follow_each_other_are_one_run():
    """Whatever is not all in its bytes, or may have begun, comes by itself; so does what comes after a gap."""
    others = [{"sender": "/root/a"}, {"deadline": 1.0}, {"routing_key": b"k"}, {"attachments": b"a"}, {"key": ""}]
    odd = [row(number, **fields) for number, fields in enumerate([*others, {"deliveries": 1}, {"kind": ASK}], 10)]
    rows = [row(1), row(2), row(4), *odd, row(17), row(18)]
    found = [(joined, [one.seq for one in run]) for joined, run in runs(rows, is_plain)]
    assert [(True, [1, 2]), (True, [4]), (False, list(range(10, 17))), (True, [17, 18])] == found


async def test_what_waits_is_handled_in_order_and_what_does_not_decode_is_a_dead_letter_by_itself(
    tmp_path, monkeypatch
):
    """Also among tells that are read together; no other is taken apart."""
    alone = []
    monkeypatch.setattr(intake, "restored", lambda row, *given: alone.append(row.seq) or restored(row, *given))
    store = SQLiteStore(tmp_path / "shop.db")
    await store.open()
    bad = {5, 6, 290}
    payloads = [
        encode(Charge(1, str(number))) if number not in bad else encode(["Charge", "?"]) for number in range(300)
    ]
    await store.commit([AcceptTells("ledger", 1, None, 1e9, ["Charge"] * 300, payloads)])
    await store.commit(accept("ledger", 301))
    await store.close()
    root = Supervisor(ChildSpec(Ledger, name="ledger", durable=True, mailbox=100), store=store)
    letters = root.dead_letters()
    async with root:
        assert ["undecodable"] * 4 == [(await anext(letters)).reason.value for _ in range(4)]
        book = await root["ledger"].ask(Show())
    assert [str(number) for number in range(300) if number not in bad] == book.entries
    assert [301] == alone
