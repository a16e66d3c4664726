"""Durability: the store of one tree, and what it has of each durable actor before that is started.

    open ─▶ prepare: rows, states and black boxes of every durable spec ─▶ mailbox, when the child is made

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from actors.protocol.protocol import protocol_of
from supervisor.durable.mailbox import DurableMailbox
from supervisor.durable.stored import StoredMailbox, go_on, until_settled
from supervisor.mailbox.mailbox import MailboxTerms
from supervisor.process.boxes import Boxes, LeftBox
from supervisor.specs import AnySpec, ChildSpec, SupervisorSpec
from supervisor.store.errors import StoreError
from supervisor.store.port import Store
from supervisor.store.records import MailboxSummary, RecoveredMailbox, StoredMessage

LAST: Final = 5.0  # seconds that the end of a tree waits for a store that fails
FIRST: Final = 256  # messages of a mailbox that are read before its actor is started: enough to begin with


class Prepared(NamedTuple):
    """What the store has of one durable actor.

    Attributes:
        recovered: its mailbox.
        rows: the first messages that wait.
        more: whether others wait behind them.
        left: the black boxes of lives that died with their daemon.
    """

    recovered: RecoveredMailbox
    rows: list[StoredMessage]
    more: bool
    left: list[LeftBox]


def failure_of(store: Store) -> StoreError | None:
    """Why a store stores nothing now. One that was written before the port had `failure` does not say."""
    return getattr(store, "failure", None)


class Durability:
    """The store of one tree.

    Args:
        store: the store.
        root: path of the tree.
        loop: of the tree.
        trouble: told of a transaction that is not stored, with the path of its actor.
        unclaimed: told of states that no process will load, with the mailbox and the names of their processes.

    Attributes:
        boxes: the black boxes of its durable actors; once it is open.
    """

    def __init__(
        self,
        store: Store,
        root: str,
        loop: asyncio.AbstractEventLoop,
        trouble: Callable[[str, StoreError], None],
        unclaimed: Callable[[str, Sequence[str]], None],
    ) -> None:
        self.boxes: Boxes
        self._store = store
        self._root = root
        self._loop = loop
        self._trouble = trouble
        self._unclaimed = unclaimed
        self._prepared: dict[str, Prepared] = {}
        self._reading: Counter[str] = Counter()  # paths of which is being read what the store has
        self._mailboxes: dict[str, StoredMailbox] = {}
        self._closed = False

    @property
    def failure(self) -> str | None:
        """What of the tree is not stored, or not read, now, and why; None while the store works."""
        failures = [failure_of(self._store)]
        for stored in self._mailboxes.values():
            failures += stored.writing.error, stored.reading.error
        return "; ".join(dict.fromkeys(str(error) for error in failures if error is not None)) or None

    async def open(self, spec: SupervisorSpec) -> list[MailboxSummary]:
        """Take the store, and read what it has of the tree; returns the mailboxes that no durable actor of it has.

        Raises:
            StoreError: the store cannot be used.
        """
        await self._store.open()
        try:
            self.boxes = Boxes(self._store.boxes)
            with _boxes_read():
                self.boxes.clear()
            await self.prepare(spec, self._root)
            wanted = {self._name(path) for path in self._prepared}
            return [summary for summary in await self._store.mailboxes() if summary.mailbox not in wanted]
        except BaseException:
            await self._store.close()
            raise

    async def prepare(self, spec: AnySpec, path: str) -> None:
        """Read what the store has of a spec and everything below it, which will be at that path.

        Raises:
            StoreError: it cannot be read, or what an actor of that path has left cannot be stored.
        """
        mine: dict[str, Prepared] = {}
        try:
            for at, child in durable_in(spec, path):
                mine[at] = self._prepared[at] = await self._prepare(at, child)
        except BaseException:
            for at, prepared in mine.items():
                if self._prepared.get(at) is prepared:
                    del self._prepared[at]
            raise

    async def _prepare(self, path: str, child: ChildSpec) -> Prepared:
        name = self._name(path)
        self._reading[path] += 1
        try:
            await self.left(path)
            recovered = await self._store.recover(name)
            with _boxes_read():
                left = self.boxes.left(path)
            rows, more = await self._first(name, left, child.mailbox) if recovered.waiting else ([], False)
        finally:
            self._reading[path] -= 1
        self._tell_unclaimed(name, recovered, child)
        return Prepared(recovered, rows, more, left)

    def starting(self, path: str) -> bool:
        """Whether a start of this actor goes by what was read of it: no other may change that in the store now."""
        return path in self._prepared or self._reading[path] > 0

    async def left(self, path: str) -> None:
        """Wait until all is stored that an actor has left which is gone from the tree.

        Raises:
            StoreError: it cannot be stored now.
        """
        former = self._mailboxes.get(path)
        if former is not None:
            await former.settled()

    def _tell_unclaimed(self, name: str, recovered: RecoveredMailbox, spec: ChildSpec) -> None:
        """A pool that has another size, or is one process now, has states that nobody loads."""
        members = ("",) if spec.size == 1 else spec.members()
        left = sorted(recovered.states.keys() - set(members))
        if left:
            self._unclaimed(name, left)

    async def _first(self, name: str, left: list[LeftBox], window: int) -> tuple[list[StoredMessage], bool]:
        """The first messages of a mailbox, and whether there are others: all that lives before may have begun."""
        begun = [life.last_begun for life in left]
        rows: list[StoredMessage] = []
        at_once = min(FIRST, window)
        while True:
            found = await self._store.messages(name, rows[-1].seq if rows else 0, at_once)
            rows += found
            if len(found) < at_once:
                return rows, False
            if all(len(rows) >= window if last is None else rows[-1].seq >= last for last in begun):
                return rows, True

    def mailbox(self, path: str, spec: ChildSpec, terms: MailboxTerms) -> DurableMailbox:
        """The mailbox of a spec that was prepared, or was deleted and comes back with its supervisor's next life."""
        former = self._mailboxes.get(path)  # of a spec that was deleted: what was sent to it goes on
        if former is not None and path not in self._prepared:
            mailbox = DurableMailbox(former, self.boxes, path, protocol_of(spec.actor), terms)
            mailbox.recover((), 0, (), complete=False)  # all that waits is read later
            return mailbox
        recovered, rows, more, left = self._prepared.pop(path)
        if former is not None:
            go_on(former, recovered)
        stored = former or StoredMailbox(self._store, self._name(path), recovered, self._loop, self._trouble)
        self._mailboxes[path] = stored
        mailbox = DurableMailbox(stored, self.boxes, path, protocol_of(spec.actor), terms)
        mailbox.recover(rows, recovered.waiting, left, complete=former is None and not more)
        return mailbox

    def begun(self, spec: AnySpec, path: str) -> None:
        """The start of a prepared spec has begun, or was refused: what was read for it is of no other start."""
        for at, _ in durable_in(spec, path):
            self._prepared.pop(at, None)

    async def renew(self, path: str) -> None:
        """Read anew what the store has of an actor that is gone from the tree: it was moved or discarded.

        Raises:
            StoreError: it cannot be read.
        """
        former = self._mailboxes.get(path)
        if former is not None:
            go_on(former, await self._store.recover(self._name(path)))

    async def close(self) -> None:
        """Store what is left, and release the store; once."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(LAST):
                for stored in self._mailboxes.values():
                    await until_settled(stored)
        except TimeoutError:
            pass  # the store fails; what it has not stored was not acknowledged
        await self._store.close()

    def _name(self, path: str) -> str:
        """The name of a mailbox in the store: its path below the root."""
        return path.removeprefix(f"{self._root}/")


@contextmanager
def _boxes_read() -> Iterator[None]:
    """What black boxes say is read: without it, what was begun could be begun twice."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{error.filename} cannot be read: {error.strerror}. It says what was being handled when the last daemon "
            f"died, so nothing is started. Where it never can be read again, delete it: then that is not known"
        ) from error


def durable_in(spec: AnySpec, path: str) -> Iterator[tuple[str, ChildSpec]]:
    """The durable actors of a spec and everything below it, with their paths."""
    if isinstance(spec, SupervisorSpec):
        for child in spec.children:
            yield from durable_in(child, f"{path}/{child.name}")
    elif isinstance(spec, ChildSpec) and spec.durable:
        yield path, spec
