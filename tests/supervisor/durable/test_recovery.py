"""What a daemon reads of a mailbox before it starts the actor: little, but all that may have begun."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actors.wire.progress import Progress
from supervisor.durable import durability
from supervisor.durable.durability import Durability
from supervisor.process.boxes import LeftBox
from supervisor.specs import ChildSpec
from supervisor.store import SQLiteStore
from tests.support.ledgers import Ledger
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
    tree = Durability(store, "/root", asyncio.get_running_loop(), lambda *_: None)
    spec = ChildSpec(Ledger, name="ledger", durable=True, mailbox=window)
    await tree.open(spec)
    await store.commit(accept("ledger", *range(1, 21)))
    monkeypatch.setattr(tree.boxes, "left", lambda path: left)
    await tree.prepare(spec, "/root/ledger")
    prepared = tree._prepared["/root/ledger"]
    assert (list(range(1, last + 1)), more) == (seqs(prepared.rows), prepared.more)
    await tree.close()
