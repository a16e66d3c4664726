"""TreeStore: what the store of a running tree has, for a person: dead letters, and mailboxes that no actor has.

Runs on the loop's thread; the reads are the store's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from typing import Any, Final

import msgspec

from actors.bounds import shown
from actors.errors import UsageError
from actors.messages import Message
from supervisor.durable.mailbox import DurableMailbox
from supervisor.durable.rows import content_of
from supervisor.loop_affinity import Home
from supervisor.mailbox.askers import decode_bound
from supervisor.messaging.registry import absolute
from supervisor.messaging.tree_context import TreeContext
from supervisor.observe.dead_letters import DeadLetter, DeadReason
from supervisor.spec_validation.values import is_name
from supervisor.store.errors import NoSuchRecord
from supervisor.store.port import Store
from supervisor.store.records import MailboxSummary, StoredDeadLetter
from supervisor.store.writes import DropDeadLetter, RequeueDeadLetter

_PAGE: Final = 100  # dead letters read at once


class KeptDeadLetter(DeadLetter, frozen=True, kw_only=True):
    """A dead letter that is in the store.

    It has the fields of `DeadLetter`, too.

    Attributes:
        id: its number, for `requeue` and `drop`.
        sent_at: when it was taken, in seconds since the epoch.
        died_at: when it became a dead letter.
        payload: its bytes; they are kept, also where they decode to no message any more.
    """

    id: int
    sent_at: float
    died_at: float
    payload: bytes


class KeptDeadLetters:
    """Dead letters of a store, the oldest first: `await` gives the list, `async for` reads any number of them."""

    def __init__(self, store: TreeStore, mailbox: str | None) -> None:
        self._store = store
        self._mailbox = mailbox

    def __await__(self) -> Generator[Any, None, list[KeptDeadLetter]]:
        return self._all().__await__()

    async def __aiter__(self) -> AsyncIterator[KeptDeadLetter]:
        last = 0
        while page := await self._store.page(self._mailbox, last):
            for letter in page:
                yield letter
                last = letter.id

    async def _all(self) -> list[KeptDeadLetter]:
        return [letter async for letter in self]


class TreeStore:
    """What the store of a tree has: `root.store`.

    Names of actors are as in `root[name]`, also of actors that the tree no longer has.

    Args:
        path: of the root.
        tree: what the tree shares.
        store: its store.
    """

    def __init__(self, path: str, tree: TreeContext, store: Store) -> None:
        self._path = path
        self._tree = tree
        self._store = store
        self._home = Home()

    # ---- dead letters

    def dead_letters(self, name: str | None = None) -> KeptDeadLetters:
        """The dead letters of a durable actor, or of all: `await` them, or read them with `async for`.

        Raises:
            StoreError: while they are read: the store cannot be read.
        """
        return KeptDeadLetters(self, None if name is None else self._name(name))

    async def dead_letter(self, letter: int) -> KeptDeadLetter:
        """One dead letter.

        Raises:
            StoreError: there is no such dead letter, or the store cannot be read.
            UsageError: it is no number.
        """
        return self._kept(await self._found(letter))

    async def requeue(self, letter: int) -> None:
        """Send a dead letter again: it is the last message of its mailbox, and counts as begun by no life.

        Returns when that is stored. Its actor may be down, or gone from the tree: then it waits in the store.

        Raises:
            StoreError: there is no such dead letter, or it cannot be stored.
            UsageError: it is no number, or its actor is being started at this moment.
        """
        found = await self._found(letter)
        await self._left(found.mailbox)
        mailbox = self._live(found.mailbox)
        if mailbox is not None:
            await mailbox.requeue(letter)
        else:
            self._check_not_starting(found.mailbox)
            await self._store.commit([RequeueDeadLetter(letter, found.mailbox)])

    async def drop(self, letter: int) -> None:
        """Delete a dead letter.

        Raises:
            StoreError: there is no such dead letter, or the store fails.
            UsageError: it is no number.
        """
        self._check_home()
        _check_number(letter)
        await self._store.commit([DropDeadLetter(letter)])

    async def page(self, mailbox: str | None, after: int) -> list[KeptDeadLetter]:
        """Some dead letters with an id above `after`; none when there are no more."""
        self._check_home()
        return [self._kept(letter) for letter in await self._store.dead_letters(mailbox, _PAGE, after)]

    # ---- mailboxes

    async def mailboxes(self) -> list[MailboxSummary]:
        """All mailboxes that have something, with how much; also those of actors that the tree no longer has."""
        self._check_home()
        return await self._store.mailboxes()

    async def move(self, name: str, to: str) -> int:
        """Append what an actor left, which was renamed, to the mailbox of another name.

        Returns how many messages that is, with delayed ones. Neither may be in the tree:
        call it before the actor of the new name is started, in a tree without both.

        Raises:
            UsageError: one of them is in the tree or being started, or no actor can have the new name.
            StoreError: the store fails; nothing was moved.
        """
        self._check_home()
        self._check_path(to)
        await self._left(name)
        await self._left(to)
        moved = await self._store.move(self._gone(name), self._gone(to))
        await self._renew(name)
        await self._renew(to)
        return moved

    async def discard(self, name: str) -> int:
        """Delete all that an actor left, which is no longer in the tree; returns how many messages, with delayed ones.

        Raises:
            UsageError: it is in the tree or being started.
            StoreError: the store fails; nothing was deleted.
        """
        self._check_home()
        await self._left(name)
        discarded = await self._store.discard(self._gone(name))
        await self._renew(name)
        return discarded

    # ---- inside

    def _check_home(self) -> None:
        self._home.check(f"the store of {self._path}")

    async def _found(self, letter: int) -> StoredDeadLetter:
        self._check_home()
        _check_number(letter)
        found = await self._store.dead_letter(letter)
        if found is None:
            raise _no_such(letter)
        return found

    def _name(self, name: str) -> str:
        if not isinstance(name, str):
            raise UsageError(
                f"{self._path} finds actors by name: root.store.dead_letters('ledger'); {shown(name)} is not a str"
            )
        return absolute(self._path, name).removeprefix(f"{self._path}/")

    def _check_path(self, name: str) -> None:
        if not all(map(is_name, self._name(name).split("/"))):
            raise UsageError(
                f"no actor of {self._path} can have the name {shown(name)}, so nothing was moved to it. Name an actor "
                f"by its path below the root: 'books', or 'shop/books' below the supervisor shop"
            )

    async def _left(self, name: str) -> None:
        """Wait until all is stored that an actor has left which is gone from the tree; none is waited for.

        Raises:
            StoreError: it cannot be stored now.
        """
        durability = self._tree.durability
        if durability is not None and self._live(self._name(name)) is None:
            await durability.left(absolute(self._path, name))

    async def _renew(self, name: str) -> None:
        """An actor that comes back with its supervisor has what the store has now."""
        durability = self._tree.durability
        if durability is not None and self._live(self._name(name)) is None:
            await durability.renew(absolute(self._path, name))

    def _gone(self, name: str) -> str:
        if self._live(self._name(name)) is not None:
            raise UsageError(f"{absolute(self._path, name)} is in the tree: what it has in the store is in use")
        self._check_not_starting(name)
        return self._name(name)

    def _check_not_starting(self, name: str) -> None:
        """Check that no start goes by what was read of a mailbox: what would be added to it would be lost."""
        path, durability = absolute(self._path, name), self._tree.durability
        if durability is not None and durability.starting(path):
            raise UsageError(f"{path} is being started: what it has in the store is in use. Nothing was changed")

    def _live(self, name: str) -> DurableMailbox | None:
        mailbox = self._tree.registry.get(absolute(self._path, name))
        return mailbox if isinstance(mailbox, DurableMailbox) else None

    def _kept(self, letter: StoredDeadLetter) -> KeptDeadLetter:
        return KeptDeadLetter(
            id=letter.id,
            actor=absolute(self._path, letter.mailbox),
            message=self._message(letter),
            message_type=letter.message_type,
            sender=letter.sender,
            reason=DeadReason(letter.reason),
            detail=letter.detail,
            deliveries=letter.deliveries,
            sent_at=letter.sent_at,
            died_at=letter.died_at,
            payload=letter.payload,
        )

    def _message(self, letter: StoredDeadLetter) -> Message[Any] | None:
        """The message, None where its actor is gone, or it does not decode."""
        mailbox = self._live(letter.mailbox)
        if mailbox is None:
            return None
        try:
            message: Message[Any] = decode_bound(
                self._tree.registry.ref, mailbox.protocol.decode, msgspec.Raw(letter.payload)
            )
            return content_of(message, letter.attachments)
        except Exception:  # it may be dead because of that
            return None


def _check_number(letter: int) -> None:
    """Check what names a dead letter; what SQLite cannot take would fail all that is stored with it."""
    if type(letter) is not int:
        raise UsageError(f"a dead letter is named by its number: root.store.requeue(letter.id); it is {shown(letter)}")
    if not 0 < letter < 2**63:
        raise _no_such(letter)


def _no_such(letter: int) -> NoSuchRecord:
    return NoSuchRecord(f"there is no dead letter {letter}; `await root.store.dead_letters()` lists them")
