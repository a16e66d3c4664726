"""What an operator is told of a child by its own parts, beside its state: queue, whom it asks, output, store."""

from __future__ import annotations

import asyncio

import pytest

from supervisor import Backoff, ChildSpec, CommandSpec, Intensity, Routing, Supervisor, SupervisorSpec
from supervisor.control import frames as wire
from supervisor.control.framing import HEAD, read_reply
from supervisor.control.look.gathering import facts_of
from supervisor.control.look.history import History
from supervisor.control.look.samples import Samples
from supervisor.control.operations import Operations
from supervisor.store import SQLiteStore, StoreError
from supervisor.tree.look import tree_of
from tests.support.actors import AskOther, Block, One, Puppet
from tests.support.ledgers import Charge, Ledger
from tests.support.pooled import Hold, Worker
from tests.support.scripted import child, tree
from tests.support.waiting import until


class Failing(SQLiteStore):
    """Refuses to store while `fails`."""

    fails = False

    @property
    def failure(self):
        return StoreError("shop.db: its disk is full") if self.fails else super().failure

    def commit(self, group):
        if self.fails:
            raise self.failure
        return super().commit(group)


async def explained(operations, name):
    [frame] = [frame async for frame in operations.serve(wire.Explain(name))]
    (one,) = read_reply(frame[HEAD:]).found
    return one.verdict, one.sentence


@pytest.mark.processes
async def test_a_store_that_fails(tmp_path):
    """It is said as long as the store fails; a key that is known is no failure."""
    store = Failing(tmp_path / "shop.db")
    async with Supervisor(ChildSpec(Ledger, durable=True), store=store, spares=0) as root:
        operations = Operations(root._engine)
        await root["ledger"].ask(Charge(1), key="k")
        await root["ledger"].ask(Charge(1), key="k")
        assert "healthy" == (await explained(operations, "ledger"))[0]
        store.fails = True
        with pytest.raises(StoreError):
            await root["ledger"].tell(Charge(1))
        verdict, sentence = await explained(operations, "ledger")
        assert "degraded" == verdict
        assert sentence.endswith("its store fails, and so do those who send to it: shop.db: its disk is full.")
        store.fails = False
        assert "healthy" == (await explained(operations, "ledger"))[0]
        operations.close()


async def everything(root):
    """What is said of those that are not well, or of the root, by path."""
    operations = Operations(root._engine)
    [frame] = [frame async for frame in operations.serve(wire.Explain(""))]
    operations.close()
    return {one.path: one.sentence for one in read_reply(frame[HEAD:]).found}


async def test_each_trouble_is_told_once():
    """Of a supervisor that is down, and not of those below it; of each process of a pool, whatever its name."""
    async with tree(child("a", shutdown=0.1), SupervisorSpec(child("b"), child("c"), name="sub")) as root:
        assert ["/root"] == list(await everything(root))
        await root.resize("a", 2)
        await root.terminate_child("a")
        assert ["/root/a", "/root/a/1"] == list(await everything(root))
        await root.restart_child("a")
        await root.terminate_child("sub/b")
        assert ["/root/sub/b"] == list(await everything(root))
        await root.terminate_child("sub")
        found = await everything(root)
        assert ["/root/sub"] == list(found)
        assert found["/root/sub"].endswith("start it: actorctl start /root/sub.")


class Looking:
    """The facts of the children of a tree."""

    def __init__(self, root):
        self._root = root
        self._history, self._samples = History(), Samples(root._engine)

    def at(self, name):
        node = next(node for node in tree_of(self._root._engine).children if node.name == name)
        return facts_of(node, self._root._engine, self._history, self._samples)

    def queues(self, *names):
        return {name: (self.at(name).queue.depth, self.at(name).queue.waiting) for name in names}

    def trend(self, name):
        list(self._samples._look_at_all())
        return self.at(name).trend

    def close(self):
        self._samples.close()


@pytest.mark.processes
async def test_the_queue_of_one_process(tmp_path):
    """By key each process of a pool has its own; else all of them have one, and only the first tells of it."""
    gate = tmp_path / "gate"
    keyed = ChildSpec(Worker, name="keyed", size=2, routing=Routing.BY_KEY, key="key")
    async with Supervisor(keyed, ChildSpec(Worker, name="pool", size=2), spares=0) as root:
        looking = Looking(root)
        looking.trend("keyed/0")  # from here on
        for _ in range(4):
            await root["keyed"].tell(Hold(str(gate), "hot"))
            await root["pool"].tell(Hold(str(gate)))
        await until(lambda: sorted(looking.queues("keyed/0", "keyed/1").values()) == [(0, 0), (4, 3)])
        hot = max(("keyed/0", "keyed/1"), key=lambda name: looking.at(name).queue.depth)
        cold = "keyed/1" if hot == "keyed/0" else "keyed/0"
        assert [True, False] == [looking.at(name).queue.longest for name in (hot, cold)]
        assert [4, 0] == [looking.trend(name).arrived for name in (hot, cold)]
        await until(lambda: looking.queues("pool/0", "pool/1") == {"pool/0": (4, 2), "pool/1": (4, 2)})
        assert [True, False] == [looking.at(name).queue.first for name in ("pool/0", "pool/1")]
        gate.touch()
        await until(lambda: 4 == looking.at(hot).queue.ended and looking.queues(hot) == {hot: (0, 0)})
        await root.terminate_child(cold)
        assert 0 == looking.at(cold).queue.depth
        looking.close()


@pytest.mark.processes
async def test_whom_a_handler_asks(tmp_path):
    """A handler that waits for another actor names it: that one is to be looked at."""
    gate = tmp_path / "gate"
    async with Supervisor(ChildSpec(One, name="asker"), ChildSpec(Puppet, name="held"), spares=0) as root:
        looking = Looking(root)
        await root["held"].tell(Block(str(gate)))
        await root["asker"].tell(AskOther("held", "x", timeout=60.0))
        await until(lambda: looking.at("asker").asked == ("/root/held",))
        gate.touch()
        await until(lambda: not looking.at("asker").asked)
        looking.close()


@pytest.mark.processes
async def test_what_a_program_wrote_last(tmp_path):
    """Its exit code alone says little."""
    gate = tmp_path / "gate"
    script = 'while [ ! -e "$0" ]; do sleep 0.01; done; echo cannot bind port 80 >&2; echo >&2; exit 3'
    server = CommandSpec(("sh", "-c", script, str(gate)), name="server", backoff=Backoff(initial=60, cap=60))
    async with Supervisor(server, spares=0, intensity=Intensity(None, 5.0)) as root:
        operations = Operations(root._engine)
        gate.touch()
        await until(lambda: root.snapshot().children[0].next_try)
        verdict, sentence = await explained(operations, "server")
        assert "waiting" == verdict
        assert "(crashed: exit code 3, and wrote last: cannot bind port 80): permanent children" in sentence
        operations.close()


async def test_a_drain_that_has_messages_left_is_told():
    """Of the actor that holds it up, and not of one that only waits for the stop."""
    async with tree(child("a"), child("b")) as root:
        await root["a"].tell(Block("x"))
        drain = asyncio.create_task(root.drain(timeout=60))
        await until(lambda: root._tree.registry.drained("/root/a"))
        found = await everything(root)
        assert ["/root/a"] == list(found)
        assert found["/root/a"].startswith("/root/a drains, and has 1 message left: it takes no new messages (drain); ")
        drain.cancel()
