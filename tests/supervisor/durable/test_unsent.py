"""Tells of durable actors to names that the tree does not have: what was debited is not lost."""

from __future__ import annotations

import os

import pytest

from supervisor import ChildSpec, Supervisor
from supervisor.store import SQLiteStore
from tests.support.ledgers import Charge, Kill, Ledger, Transfer
from tests.support.waiting import until

pytestmark = pytest.mark.processes


def tree(tmp_path, *names):
    specs = [ChildSpec(Ledger, name=name, durable=True) for name in names]
    return Supervisor(*specs, name="shop", store=SQLiteStore(tmp_path / "shop.db"), spares=0)


async def test_a_tell_to_an_actor_that_was_removed_is_a_dead_letter_in_the_store(tmp_path):
    """It is stored with what was debited, told at the next start, moves to another name, and is sent again."""
    async with tree(tmp_path, "ann", "bob") as root:
        await root.terminate_child("bob")
        await root.delete_child("bob")
        assert -5 == await root["ann"].ask(Transfer(5, "bob", "rent"))
        (letter,) = await root.store.dead_letters("bob")
        assert ("Charge", "no_such_actor", "/shop/ann", 0) == (
            letter.message_type, letter.reason.value, letter.sender, letter.deliveries,
        )  # fmt: skip
    root = tree(tmp_path, "ann")
    events = root.events()
    async with root:
        async for event in events:
            if type(event).__name__ == "MailboxUnclaimed":
                assert (event.mailbox, event.dead_letters) == ("bob", 1)
                break
        await root.store.move("bob", "vault")
        await root.start_child(ChildSpec(Ledger, name="vault", durable=True))
        (letter,) = await root.store.dead_letters("vault")
        await root.store.requeue(letter.id)
        await until(lambda: not root["vault"]._mailbox.depth)
        assert 5 == await root["vault"].ask(Charge(0))
        assert [] == await root.store.dead_letters()


async def test_it_is_kept_with_its_message_or_not_at_all(tmp_path):
    """A handler that dies is repeated on the state before, and so is what it has sent."""
    async with tree(tmp_path, "ann") as root:
        ann = root["ann"]
        os.kill(root.snapshot().children[0].pid, 19)
        await ann.tell(Transfer(5, "nobody"))
        await ann.tell(Kill())
        os.kill(root.snapshot().children[0].pid, 18)
        assert -5 == await ann.ask(Charge(0))
        (letter,) = await root.store.dead_letters("nobody")
        assert "no actor has the path /shop/nobody" in letter.detail
