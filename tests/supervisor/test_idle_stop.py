"""An actor that stops when nothing waits for it: no message is lost, whatever comes while it leaves."""

from __future__ import annotations

import asyncio

import pytest

from actors import ActorStopped, NoSuchActor
from supervisor import ChildSpec, RestartPolicy, Supervisor, SupervisorBusy
from supervisor.core.tree.commands import Decision
from tests.support.actors import Echo
from tests.support.idlers import Async, Hit, Sync
from tests.support.scripted import answering, child, states, tree
from tests.support.waiting import DEADLINE, Watch, at_rest, until


@pytest.mark.parametrize("restart", RestartPolicy)
async def test_what_came_while_it_left_goes_to_the_next_life(restart):
    """Whatever its policy, and counted for nothing; nor does an ask that would not wait for a dead actor fail."""
    async with tree(child(restart=restart)) as root:
        watch = Watch(root)
        asks = [asyncio.create_task(root["a"].ask(Echo("x"), when_down=when)) for when in ("wait", "fail")]
        await at_rest()
        answering(root.launcher)
        root.launcher.life("/root/a").exit(idle=True)
        report = await watch.exited("a")
        assert (Decision.RECYCLE, "it stopped as idle, and a message came meanwhile") == (
            report.decision,
            report.because,
        )
        assert ["/root/a 2"] * 2 == await asyncio.gather(*asks)
        assert (0, {"handled": 2}) == (root.snapshot().restarts, root.snapshot().children[0].fates)


@pytest.mark.parametrize(
    ("restart", "left"),
    [(RestartPolicy.TEMPORARY, {}), (RestartPolicy.TRANSIENT, {"a": "exited"})],
    ids=["temporary", "transient"],
)
async def test_without_a_message_its_policy_decides(restart, left):
    """It is a normal end; what is sent from then on is refused to its sender."""
    async with tree(child(restart=restart), child("b")) as root:
        ref = root["a"]
        root.launcher.life("/root/a").exit(idle=True)
        assert {**left, "b": "running"} == states(root)
        with pytest.raises(ActorStopped):
            await ref.ask(Echo("x"))


async def test_an_actor_that_stops_all_the_same_loses_what_waits():
    """Of a temporary child it becomes dead letters, and who asked hears that it had not begun."""
    async with tree(child(restart=RestartPolicy.TEMPORARY), child("b")) as root:
        ask = asyncio.create_task(root["a"].ask(Echo("x")))
        await at_rest()
        root.launcher.life("/root/a").exit()
        with pytest.raises(ActorStopped, match="the message had not begun"):
            await ask
        assert {"b": "running"} == states(root)


async def hit(root, spec, number):
    """Ask a child that may be gone, as often as it takes; only what was refused is sent again."""
    while True:
        try:
            ref = root["a"]
        except NoSuchActor:
            try:
                await root.start_child(spec)
            except SupervisorBusy:  # another caller starts it
                await asyncio.sleep(0)
            continue
        try:
            return await ref.ask(Hit(number), timeout=None)
        except ActorStopped as refused:
            if "was not sent" not in str(refused):
                raise


@pytest.mark.processes
@pytest.mark.parametrize("actor", [Sync, Async])
async def test_no_message_is_lost_on_the_way_out(actor):
    """Every message is one after which the actor would like to leave; each is handled, or refused at once."""
    spec = ChildSpec(actor, name="a", restart=RestartPolicy.TEMPORARY)
    async with Supervisor(spec, spares=2) as root, asyncio.timeout(DEADLINE):
        for number in range(15):
            first = asyncio.create_task(hit(root, spec, number))
            await asyncio.sleep(number % 3 * 0.001)
            assert [number] * 3 == await asyncio.gather(first, hit(root, spec, number), hit(root, spec, number))
        await until(lambda: states(root) == {}, "its end")
