"""Dead: an operator lists, shows, requeues and drops the dead letters of a daemon.

Runs on the loop's thread.
"""

from __future__ import annotations

from msgspec.structs import replace

from actors.errors import UsageError
from supervisor.control import frames as wire
from supervisor.control.frames import Reply
from supervisor.control.look.letters import KeptLetter, Letters
from supervisor.control.look.names import named
from supervisor.control.messages import as_object
from supervisor.errors import NoSuchChild
from supervisor.messaging.refs import MailboxRef
from supervisor.tree.engine import Engine


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
        """The letters of an actor, or all."""
        path = named(self._engine, asked.name).path if asked.name else None
        found = [kept for kept in self._letters if path is None or kept.letter.actor == path]
        return wire.DeadLetters(tuple(map(_letter, found)), self._letters.lost)

    async def show(self, asked: wire.ShowDead) -> Reply:
        """One letter with its message."""
        kept = self._of(asked.id)
        mailbox = self._engine.tree.registry.get(kept.letter.actor)
        body = None
        if kept.data is not None and mailbox is not None:
            body = as_object(mailbox.protocol.decode(kept.data))
        return wire.DeadLetters((replace(_letter(kept), body=body),))

    async def requeue(self, asked: wire.RequeueDead) -> Reply:
        """Send the messages of letters again; one after the other, and those that were sent are dropped."""
        for letter in asked.ids:
            kept = self._of(letter)
            path = kept.letter.actor
            if kept.data is None:
                raise UsageError(f"dead letter {letter}: its message is not kept; its sender has to send it again")
            mailbox = self._engine.tree.registry.find(path)
            await MailboxRef(mailbox).tell(mailbox.protocol.decode(kept.data))
            self._letters.take(kept.id)
        return wire.Done(f"{len(asked.ids)} sent again")

    async def drop(self, asked: wire.DropDead) -> Reply:
        """Drop letters."""
        for kept in [self._of(letter) for letter in asked.ids]:
            self._letters.take(kept.id)
        return wire.Done(f"{len(asked.ids)} dropped")

    def _of(self, letter: str) -> KeptLetter:
        kept = self._letters.get(int(letter)) if letter.isascii() and letter.isdigit() and len(letter) < 19 else None
        if kept is None:
            raise NoSuchChild(f"there is no dead letter {letter!r}; `actorctl dead list` shows them")
        return kept


def _letter(kept: KeptLetter) -> wire.Letter:
    letter = kept.letter
    return wire.Letter(
        id=str(kept.id),
        at=kept.at,
        actor=letter.actor,
        message_type=letter.message_type,
        sender=letter.sender,
        reason=letter.reason.value,
        detail=letter.detail,
        deliveries=letter.deliveries,
        size=None if kept.data is None else len(kept.data),
    )
