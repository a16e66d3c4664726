"""Counters: what an actor counts with `context.count`.

Runs in the actor's process, in any of its threads. What another thread counts belongs to the message that runs then.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from actors.bounds import MOST_COUNT
from actors.errors import UsageError
from actors.ipc.blackbox import BlackBox
from actors.ipc.box_cells import MAX_SERIES
from actors.process.time_limit import LANE
from actors.wire.counts import check_amount, encoded


class Counters:
    """The counters of one life.

    Args:
        path: of the actor.
        box: where they are.
    """

    def __init__(self, path: str, box: BlackBox) -> None:
        self._path = path
        self._box = box
        self._slots: dict[object, int] = {}  # by name, or by name and labels
        self._lock = threading.Lock()

    def count(self, name: str, amount: float, labels: Mapping[str, object]) -> None:
        """See `Context.count`.

        Raises:
            UsageError: no good name, amount or label, or too many series. Nothing was counted.
        """
        if type(amount) is not int or not 0 <= amount <= MOST_COUNT:
            check_amount(self._path, name, amount)
        key: object = name
        if labels:  # as words: 1 and True are equal, and a list cannot be a key
            labels = {label: str(value) for label, value in labels.items()}
            key = (name, *labels.items())
        with self._lock:
            slot = self._slots.get(key)
            if slot is None:
                slot = self._slots[key] = self._new(name, labels)
            self._box.count(slot, LANE.get(), amount)

    def _new(self, name: str, labels: Mapping[str, object]) -> int:
        data = encoded(self._path, name, labels)
        known = self._slots.get(data)  # the same labels in another order
        slot = self._box.counters.new(data) if known is None else known
        if slot is None:
            raise UsageError(
                f"context.count in {self._path}: {name} would be one series more than {MAX_SERIES}, the most of one "
                f"actor; count by labels that take few values"
            )
        self._slots[data] = slot
        return slot
