"""Dead letters of durable actors, as an operator has them: from the store, and from it alone."""

from __future__ import annotations

import pytest

from actors import ActorCrashed
from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from supervisor.control import frames as wire
from supervisor.control.dead_letters import DeadLetters
from supervisor.control.framing import framed
from supervisor.control.operations import Operations
from supervisor.errors import NoSuchChild
from supervisor.store import SQLiteStore
from supervisor.testing import ScriptedLauncher
from tests.support.actors import Note
from tests.support.ledgers import Kill, Ledger, Show
from tests.support.scripted import child, tree


@pytest.mark.processes
async def test_dead_letters_in_the_store(tmp_path):
    """Listed once, shown with their message, requeued and dropped there."""
    spec = ChildSpec(Ledger, durable=True, backoff=Backoff(initial=0.0, cap=0.0, jitter=0.0), max_deliveries=1)
    async with Supervisor(
        spec, store=SQLiteStore(tmp_path / "shop.db"), intensity=Intensity(100, 5.0), spares=0
    ) as root:
        dead = DeadLetters(root._engine)
        for _ in range(2):
            with pytest.raises(ActorCrashed):
                await root["ledger"].ask(Kill(times=2))
        first, second = (await dead.list(wire.ListDead("ledger"))).letters
        assert (first.id, first.actor, first.reason) == ("s1", "/root/ledger", "poison")
        assert '"times":2' in (await dead.show(wire.ShowDead(first.id))).letters[0].body.replace(" ", "")
        await dead.requeue(wire.RequeueDead((first.id,)))
        while "killed" not in (await root["ledger"].ask(Show())).entries:
            pass
        assert [second] == list((await dead.list(wire.ListDead(""))).letters)
        await dead.drop(wire.DropDead((second.id,)))
        assert () == (await dead.list(wire.ListDead(""))).letters
        with pytest.raises(NoSuchChild):
            await dead.show(wire.ShowDead("2"))
        operations = Operations(root._engine)
        none = framed(
            wire.Failed(wire.Trouble.NO_SUCH_NAME, "there is no dead letter 's2'; `actorctl dead list` shows them")
        )
        for request in (wire.ShowDead("s2"), wire.RequeueDead(("s2",)), wire.DropDead(("s2",))):
            assert [none] == [frame async for frame in operations.serve(request)]
        operations.close()
        assert [] == await root.store.dead_letters()


async def test_letters_of_a_pool_and_of_an_actor_that_is_gone():
    """One process of a pool means the pool; an actor that was deleted is named by what it was."""
    async with tree(child("p", size=2), child("gone"), launcher=ScriptedLauncher()) as root:
        dead = DeadLetters(root._engine)
        for name in ("p", "gone"):
            await root[name].tell(Note(1))
            await root.terminate_child(name)
        await root.delete_child("gone")
        for name, actor in (("p", "/root/p"), ("p/1", "/root/p"), ("gone", "/root/gone"), ("/root/gone", "/root/gone")):
            assert [actor] == [letter.actor for letter in (await dead.list(wire.ListDead(name))).letters]
        with pytest.raises(NoSuchChild, match="no child is named 'nothing'"):
            await dead.list(wire.ListDead("nothing"))
