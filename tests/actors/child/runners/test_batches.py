"""A batch in the black box: at whatever store the process dies, what its handlers counted is what counts as handled."""

from __future__ import annotations

from collections import deque
from itertools import count
from types import SimpleNamespace

import pytest

from actors import Actor, Message, handles
from actors.child.messages.inbox import PendingAsks, PendingBatch
from actors.child.runners.batches import GROUP, QUICK, handle_batch
from actors.ipc.blackbox import BlackBox
from actors.ipc.box_cells import DOORBELL
from actors.protocol.protocol import protocol_of
from actors.wire import kinds
from actors.wire.counts import Series, encoded

MANY = 5 * GROUP


class One(Message[None]): ...


class Two(Message[int]): ...


class Counting(Actor):
    def __init__(self, count):
        self.count = count

    @handles
    def one(self, message: One) -> None:
        self.count()

    @handles
    def two(self, message: Two) -> int:
        self.count()
        return 1


class Stores:
    """Cells that are looked at after each store."""

    def __init__(self, box):
        self.box = box
        self.stores = 0

    def __getitem__(self, at):
        return self.box.cells[at]

    def __setitem__(self, at, value):
        self.box.cells[at] = value
        self.stores += 1
        self.look()

    def look(self):
        progress = self.box.progress()
        assert progress.begun - len(progress.active) == self.box.counts().get(Series("messages"), 0)


@pytest.fixture
def box():
    box = BlackBox()
    yield box
    box.close()


def handling_of(box, cells, step):
    """As much of the handling of a life as a batch needs; each look at its clock is so many ns after the one before."""
    times = count(1, step)
    outbox = SimpleNamespace(
        due=2**62, held=[], oldest=0, flush=lambda: None, before_batch=lambda: None,
        acknowledge_now=lambda seq, began: None, batch_over=lambda seq, began: None,
        keep_reply=lambda seq, payload, began: True, hold=lambda seq, payload, began: None,
        open_run=box.replies.open_run, end_run=box.replies.end_run, note_kept=lambda seq, began: None,
    )  # fmt: skip
    life = SimpleNamespace(
        cells=cells,
        rings=box.cells[DOORBELL],
        clock=SimpleNamespace(monotonic_ns=lambda: next(times)),
        leaving=SimpleNamespace(reason=None),
        watched=False,
        outbox=outbox,
        inbox=SimpleNamespace(pending=deque([None]), cancelled=set()),
        sync_driver=SimpleNamespace(current=None),
        calls=SimpleNamespace(spans=None),
    )
    return SimpleNamespace(life=life)


@pytest.mark.parametrize("step", [0, 1, QUICK * 100])
@pytest.mark.parametrize("kind", ["tells", "asks", "asks of one call"])
def test_a_batch(box, kind, step, monkeypatch):
    """Quick messages, which share a time, and slow ones."""
    slot = box.counters.new(encoded("/a", "messages", {}))
    cells = Stores(box)

    def counts():
        box.count(slot, 0, 1)
        cells.look()

    actor = Counting(counts)
    work = {message: (one, getattr(actor, one.name)) for message, one in protocol_of(Counting).handlers.items()}
    if kind == "tells":
        batch = PendingBatch(1, [One() for _ in range(MANY)], kinds.TELL, None, None, None)
    elif kind == "asks":
        batch = PendingAsks(1, [Two() for _ in range(MANY)], [None] * MANY)
    else:
        batch = PendingBatch(1, [Two() for _ in range(MANY)], kinds.ASK, None, None, None)
    handling = handling_of(box, cells, step)
    while not batch.over:
        handle_batch(handling, work, batch)
    cells.look()
    assert {Series("messages"): MANY} == box.counts()
    assert cells.stores > MANY
