"""A ref in a message travels as its path, which the actor looks up in its own tree. One of another tree is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors import Actor, ActorRef, Fed, Message, UsageError, handles
from supervisor import ChildSpec, Supervisor
from supervisor.testing import InlineSupervisor
from tests.support.waiting import DEADLINE


class Name(Message[str]):
    """Replied: who answers."""


class NameOf(Message[str]):
    """Replied: what that one answers."""

    who: ActorRef | None = None


class NamesOf(Fed[list[str], ActorRef]):
    """Replied: what each of the refs that follow answers."""


class Named(Actor):
    def __init__(self, name: str) -> None:
        self.name = name

    @handles
    def named(self, msg: Name) -> str:
        return self.name

    @handles
    def name_of(self, msg: NameOf) -> str:
        return "nobody" if msg.who is None else msg.who.call(Name())

    @handles
    def names_of(self, msg: NamesOf, items: Iterator[ActorRef]) -> list[str]:
        return [ref.call(Name()) for ref in items]


def two(name: str) -> list[ChildSpec]:
    return [ChildSpec(Named, args=(f"{name} {child}",), name=child) for child in ("asker", "other")]


OTHER = "the ref of /root/other is of another tree"


@pytest.fixture(params=[InlineSupervisor, pytest.param(Supervisor, marks=pytest.mark.processes)])
async def trees(request: pytest.FixtureRequest):
    async with request.param(*two("one")) as one, request.param(*two("two")) as two_:
        yield one, two_


async def test_each_way_to_send_refuses_it(trees: tuple[Supervisor, Supervisor]):
    """Where its path means an actor there, too: that one would have got what was meant for the other."""
    one, two = trees
    asker, mine, foreign = one["asker"], one["other"], two["other"]
    assert mine.path == foreign.path
    with pytest.raises(UsageError, match=OTHER):
        await asker.ask(NameOf(foreign), timeout=DEADLINE)
    with pytest.raises(UsageError, match=OTHER):
        await asker.tell(NameOf(foreign))
    with pytest.raises(UsageError, match=OTHER):
        asker.tell_nowait(NameOf(foreign))
    with pytest.raises(UsageError, match=f"message 1 of this call: .*{OTHER}.*none of them was sent"):
        await asker.ask_many([NameOf(mine), NameOf(foreign)])
    with pytest.raises(UsageError, match=OTHER):
        await asker.feed(NamesOf(), [mine, foreign])
    assert "one other" == await asker.ask(NameOf(mine), timeout=DEADLINE)
    assert "nobody" == await asker.ask(NameOf(), timeout=DEADLINE)
    assert ["one other"] * 2 == await asker.feed(NamesOf(), [mine, mine])
    assert ["one other"] * 2 == await asker.ask_many([NameOf(mine)] * 2)


async def test_one_of_a_child_that_was_made_anew(trees: tuple[Supervisor, Supervisor]):
    """A ref names an actor, not a mailbox: it goes on to mean the child of that name."""
    one, _ = trees
    earlier = one["other"]
    await one.terminate_child("other")
    await one.delete_child("other")
    await one.start_child(ChildSpec(Named, args=("its heir",), name="other"))
    assert "its heir" == await one["asker"].ask(NameOf(earlier), timeout=DEADLINE)
