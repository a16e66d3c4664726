"""Dead letters: an operator lists, shows, requeues and drops the dead letters of a daemon.

Those of durable actors are in the store; their ids begin with `s`.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from msgspec.structs import replace

from actors.errors import ActorsError, UsageError
from supervisor.control import frames as wire
from supervisor.control.frames import Reply
from supervisor.control.look.letters import MOST, KeptLetter, Letters
from supervisor.control.look.names import named
from supervisor.control.look.words import count
from supervisor.control.messages import as_object
from supervisor.durable.mailbox import DurableMailbox
from supervisor.errors import NoSuchChild
from supervisor.messaging.refs import MailboxRef
from supervisor.messaging.tree_store import KeptDeadLetter, TreeStore
from supervisor.observe.dead_letters import DeadLetter
from supervisor.store.errors import NoSuchRecord
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.engine import Engine

T = TypeVar("T")


class DeadLetters:
    """The dead letters of one tree.

    Args:
        engine: of the root supervisor.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._letters = Letters()
        engine.tree.reports.dead_letters.follow(self._letters)

    async def list(self, asked: wire.ListDead) -> Reply:
        """The letters of an actor, or all.

        Raises:
            NoSuchChild: there is no such child, and no letter of one that was there.
        """
        path, unknown = self._whose(asked.name)
        found = [
            _letter(kept) for kept in self._letters if path in (None, kept.letter.actor) and not self._kept_by(kept)
        ]
        store = self._store()
        if store is not None:
            stored = aiter(store.dead_letters(path))
            found += [_stored(letter) async for letter in _first(MOST, stored)]
        if unknown is not None and not found:
            raise unknown
        return wire.DeadLetters(tuple(found), self._letters.lost)

    def _whose(self, name: str) -> tuple[str | None, NoSuchChild | None]:
        """The actor that an operator means, None for all; and an error where the tree has none of that name now.

        The letters of one process of a pool are those of the pool.
        """
        if not name:
            return None, None
        try:
            meant = named(self._engine, name)
        except NoSuchChild as error:
            return (name if name.startswith("/") else f"{self._engine.path}/{name}"), error
        child = meant.engine.children.get(meant.members[0]) if meant.members else None
        return (child.mailbox.path if isinstance(child, ActorChild) else meant.path), None

    async def show(self, asked: wire.ShowDead) -> Reply:
        """One letter with its message."""
        store, number = self._stored_id(asked.id)
        if store is not None:
            letter = await _found(store.dead_letter(number), asked.id)
            body = None if letter.message is None else as_object(letter.message)
            return wire.DeadLetters((replace(_stored(letter), body=body),))
        kept = self._of(asked.id)
        mailbox = self._engine.tree.registry.get(kept.letter.actor)
        body = None
        if kept.data is not None and mailbox is not None:
            body = as_object(mailbox.protocol.decode(kept.data))
        return wire.DeadLetters((replace(_letter(kept), body=body),))

    async def requeue(self, asked: wire.RequeueDead) -> Reply:
        """Send the messages of letters again; one after the other, and those that were sent are dropped.

        All are looked up before the first is sent.

        Raises:
            ActorsError: one cannot be sent; the text says how many were.
        """
        deeds = [await self._requeuing(letter) for letter in dict.fromkeys(asked.ids)]
        for done, deed in enumerate(deeds):
            try:
                await deed()
            except ActorsError as error:
                error.args = (f"{error}; {done} of {len(deeds)} sent again",)
                raise
        return wire.Done(f"{count(len(deeds), 'message')} sent again")

    async def _requeuing(self, letter: str) -> Callable[[], Awaitable[None]]:
        """Sends one letter again, which is there and has its message."""
        store, number = self._stored_id(letter)
        if store is not None:
            await _found(store.dead_letter(number), letter)
            return lambda: _found(store.requeue(number), letter)
        kept = self._of(letter)
        if kept.data is None:
            raise UsageError(f"dead letter {letter}: its message is not kept; its sender has to send it again")
        mailbox = self._engine.tree.registry.find(kept.letter.actor)
        message = mailbox.protocol.decode(kept.data)

        async def send() -> None:
            await MailboxRef(mailbox).tell(message)
            self._letters.take(kept.id)

        return send

    async def drop(self, asked: wire.DropDead) -> Reply:
        """Drop letters; all are looked up before the first is dropped."""
        deeds = [await self._dropping(letter) for letter in dict.fromkeys(asked.ids)]
        for deed in deeds:
            await deed()
        return wire.Done(f"{count(len(deeds), 'letter')} dropped")

    async def _dropping(self, letter: str) -> Callable[[], Awaitable[None]]:
        """Drops one letter, which is there."""
        store, number = self._stored_id(letter)
        if store is not None:
            await _found(store.dead_letter(number), letter)
            return lambda: _found(store.drop(number), letter)
        kept = self._of(letter)

        async def take() -> None:
            self._letters.take(kept.id)

        return take

    def _store(self) -> TreeStore | None:
        store = self._engine.tree.store
        return None if store is None else TreeStore(self._engine.path, self._engine.tree, store)

    def _stored_id(self, letter: str) -> tuple[TreeStore | None, int]:
        """The store and the number there of a letter that is in the store; None and 0 of another one."""
        digits = letter.removeprefix("s")
        if digits == letter or not (digits.isascii() and digits.isdigit() and len(digits) < 19):
            return None, 0
        return self._store(), int(digits)

    def _kept_by(self, kept: KeptLetter) -> bool:
        """Whether a letter is in the store, too."""
        return isinstance(self._engine.tree.registry.get(kept.letter.actor), DurableMailbox)

    def _of(self, letter: str) -> KeptLetter:
        kept = self._letters.get(int(letter)) if letter.isascii() and letter.isdigit() and len(letter) < 19 else None
        if kept is None or self._kept_by(kept):
            raise _absent(letter)
        return kept


def _absent(letter: str) -> NoSuchChild:
    return NoSuchChild(f"there is no dead letter {letter!r}; `actorctl dead list` shows them")


async def _found(deed: Awaitable[T], letter: str) -> T:
    """What the store does with a letter.

    Raises:
        NoSuchChild: it has none of that id.
    """
    try:
        return await deed
    except NoSuchRecord:
        raise _absent(letter) from None


def _letter(kept: KeptLetter) -> wire.Letter:
    size = None if kept.data is None else len(kept.data)
    return _on_the_wire(kept.letter, str(kept.id), kept.at, size)


def _stored(letter: KeptDeadLetter) -> wire.Letter:
    return _on_the_wire(letter, f"s{letter.id}", letter.died_at, len(letter.payload))


def _on_the_wire(letter: DeadLetter | KeptDeadLetter, number: str, at: float, size: int | None) -> wire.Letter:
    return wire.Letter(
        id=number,
        at=at,
        actor=letter.actor,
        message_type=letter.message_type,
        sender=letter.sender,
        reason=letter.reason.value,
        detail=letter.detail,
        deliveries=letter.deliveries,
        size=size,
    )


async def _first(most: int, items: AsyncIterator[T]) -> AsyncIterator[T]:
    async for item in items:
        if most <= 0:
            return
        most -= 1
        yield item
