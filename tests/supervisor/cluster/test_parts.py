"""Values in parts, between two machines: in order, before the end of their life, and where a machine has no room."""

from __future__ import annotations

import asyncio
import errno
from contextlib import contextmanager
from types import SimpleNamespace

from actors.ipc.shared_memory import Draft, LostSegment, Segment
from supervisor.cluster.agent.leaving import Leaving
from supervisor.cluster.agent.relay import RelayListener
from supervisor.cluster.link import wire
from supervisor.cluster.link.link import Link
from supervisor.cluster.link.parts import Joiner, Outgoing
from supervisor.cluster.link.stock import KeptValues
from supervisor.io.loop_reader import LoopReader
from tests.support.network import tcp_pair

LIFE = 1


def value(size):
    """A value in shared memory."""
    draft = Draft(size, shared=True)
    draft.write(memoryview(bytes(range(256)) * (size // 256)))
    return draft.seal()


def nothing(*_):
    """What is not of interest."""


@contextmanager
def links(**callbacks):
    """An agent's end of a link, and what the daemon's end, with these callbacks, does."""
    reader = LoopReader(asyncio.get_running_loop())
    ends = []
    for sock, given in zip(tcp_pair(), ({}, callbacks), strict=True):
        called = {"on_bytes": nothing, "on_value": nothing, "on_room": nothing, "on_end": nothing, **given}
        ends.append(Link(sock, reader, values=None, joins_values=True, **called))
    try:
        yield ends[0]
    finally:
        for end in ends:
            end.close()


async def test_the_end_of_a_life_waits_for_the_values_that_it_has_sent():
    """The daemon has room for a part of them; what was sent behind one stays behind it, and the end comes last."""
    arrived, reads, joiner, over = [], [], Joiner(), asyncio.Event()

    def take(data):
        said = wire.read_from_agent(data)
        if isinstance(said, wire.Part):
            if (whole := joiner.put(said)) is not None:
                arrived.append(whole.value)
            leaving.took(len(said.data))
        else:
            arrived.append("end")
            over.set()

    def take_bytes(number, data):
        arrived.append(data)
        leaving.took(len(data))

    first, second = value(2 * wire.WINDOW), value(wire.WINDOW)
    with links(on_value=take, on_bytes=take_bytes) as agent:
        leaving = Leaving(LIFE, agent, KeptValues(), reads.append)
        for sent in (first, second):
            assert leaving.send_value(sent, sent.size)
            leaving.send(b"behind")
        leaving.end(lambda: agent.send(wire.Closed()))
        await asyncio.wait_for(over.wait(), 60)
    assert [first.value, b"behind", second.value, b"behind", "end"] == arrived
    assert [False, True] == reads


def test_a_value_leaves_where_the_system_maps_no_more(monkeypatch):
    """In mid value nothing could be said of a failure: neither the rest of it nor what is behind it would leave."""

    def full(fd, size):
        raise OSError(errno.ENOMEM, "no room for a mapping")

    sent, joiner = value(1024 * 1024), Joiner()
    outgoing = Outgoing(LIFE, KeptValues())
    outgoing.add(sent)
    with monkeypatch.context() as patch:
        patch.setattr("actors.ipc.shared_memory._mapped", full)
        while outgoing:
            whole = joiner.put(outgoing.next(300_000))
    assert sent.value == whole.value


def test_a_value_for_which_another_machine_had_no_room_crosses_again(monkeypatch):
    """Its agent does not say that it has it: the next life there would get nothing either."""

    def full(name, flags):
        raise OSError(errno.EMFILE, "no descriptor is left")

    said, passed = [], []
    home = SimpleNamespace(link=SimpleNamespace(send=said.append), kept=KeptValues())
    one = RelayListener(LIFE, home)
    one.life = SimpleNamespace(pass_on=passed.append, congested=False)
    data = bytes(1000)
    with monkeypatch.context() as patch:
        patch.setattr("os.memfd_create", full)
        one.take_part(wire.Part(LIFE, 1000, data, 1))
    one.take_part(wire.Part(LIFE, 1000, data, 2))
    assert [LostSegment, Segment] == list(map(type, passed))
    assert [wire.Has(2)] == said


async def test_what_fails_here_ends_the_link():
    """What came behind it is not taken, as if nothing had happened; the error goes to the loop's handler, too."""
    ended, failed, taken = asyncio.Event(), [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context["exception"]))

    def take(data):
        taken.append(data)
        raise KeyError(3)

    def end(error):
        assert isinstance(error, KeyError)
        ended.set()

    with links(on_value=take, on_end=end) as agent:
        agent.send(wire.Closed())
        agent.send(wire.Closed())
        await asyncio.wait_for(ended.wait(), 60)
    assert 1 == len(taken)
    assert [KeyError] == list(map(type, failed))
