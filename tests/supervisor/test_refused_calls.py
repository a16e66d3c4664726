"""Refused calls: a bad number is an error of the caller, at once, and disturbs no other."""

from __future__ import annotations

import contextlib
import math
from multiprocessing import spawn

import pytest

from actors import HandlerError, UsageError
from actors.event import SafeEvent
from supervisor import (
    ChildSpec,
    Intensity,
    InvalidSpec,
    Ready,
    RestartIntensityExceeded,
    RestartPolicy,
    Strategy,
    Supervisor,
)
from supervisor.bridge.event import await_event
from tests.support.actors import Echo, Puppet
from tests.support.callers import Caller, Name, Parse, Parser, Try

pytestmark = pytest.mark.processes

NO_TIMES = [math.nan, math.inf, -math.inf, -1, -1e-9, 1e10, "5", [5]]


async def test_times_that_are_none():
    """The call is refused with its value; asks that are under way, and those that follow, are answered."""
    async with Supervisor(ChildSpec(Puppet, name="a"), spares=0) as root:
        ref = root["a"]
        for value in NO_TIMES:
            with pytest.raises(UsageError, match="timeout of a message to /root/a must be seconds from 0 to 1e"):
                await ref.ask(Echo("x"), timeout=value)
            with pytest.raises(UsageError, match="delay of tell to /root/a must be seconds from 0 to 1e"):
                await ref.tell(Echo("x"), delay=value)
            with pytest.raises(UsageError, match="timeout of await_event must be seconds"):
                await await_event(SafeEvent(), value)
            with pytest.raises(UsageError):
                Supervisor(stop_timeout=value)
            assert "y" == await ref.ask(Echo("y"))
        for value in (None, "", []):
            with pytest.raises(UsageError, match="delay of tell to /root/a must be seconds from 0 to 1e"):
                await ref.tell(Echo("x"), delay=value)
        with pytest.raises(UsageError, match="when_down .* must be 'wait' or 'fail'; it is 'Fail'"):
            await ref.ask(Echo("x"), when_down="Fail")
        for size in (0, -1, 2.0, math.nan, True, "2", 10**9):
            with pytest.raises(InvalidSpec, match="size: expected a whole number"):
                await root.resize("a", size)
        with pytest.raises(UsageError, match="5 is not a str"):
            root[5]
        assert "z" == await ref.ask(Echo("z"), timeout=None)


async def test_times_that_are_none_in_an_actor():
    """The same from inside an actor; it lives on."""
    async with Supervisor(ChildSpec(Puppet, name="a"), ChildSpec(Caller, name="b"), spares=0) as root:
        for what in ("ask", "tell", "after", "every", "extend"):
            for value in (math.nan, math.inf, -1.0):
                assert "must be seconds" in await root["b"].ask(Try(what, value)), (what, value)
        assert "must be seconds" in await root["b"].ask(Try("every", 1e-9))
        assert 1 == root.snapshot().children[1].life


async def test_names_that_are_none_in_an_actor():
    """What is neither a name, a ref nor a topic is refused in the actor that gave it; it lives on."""
    async with Supervisor(ChildSpec(Caller, name="b"), spares=0) as root:
        for what, why in (
            ("actor", "context.actor in /root/b takes a sibling's name or a full path; it is 5"),
            ("watch", "context.watch in /root/b takes a ref, as context.actor('index'); it is 5"),
            ("subscribe", "a topic is made at the top of a module: PRICES = Topic('prices', Price); it is 5"),
            ("publish", "a topic is made at the top of a module: PRICES = Topic('prices', Price); it is 5"),
        ):
            assert why == await root["b"].ask(Name(what))
        for path, said in ((b"\xed\xa0\x80", r"'\ud800'"), (b"a\nb", r"'a\nb'")):  # half a character cannot be sent
            assert await root["b"].ask(Name("actor", path)) == (
                f"context.actor in /root/b takes a sibling's name or a full path; it is {said}"
            )
        assert 1 == root.snapshot().children[0].life


async def test_names_that_are_none():
    """The same in the daemon."""
    async with Supervisor(ChildSpec(Puppet, name="a"), spares=0) as root:
        for deed in (
            root.terminate_child,
            root.restart_child,
            root.delete_child,
            root.recycle,
            lambda it: root.resize(it, 2),
            lambda it: root.drain(it, timeout=1.0),
        ):
            with pytest.raises(UsageError, match="a child is named by a text or a ref: .*; it is 5"):
                await deed(5)
        for look in (root.which_children, root.count_children):
            with pytest.raises(UsageError, match="a supervisor is named by a text: under='parsers'; it is 5"):
                look(5)
        with pytest.raises(UsageError, match="a supervisor is named by a text"):
            await root.start_child(ChildSpec(Puppet, name="b"), under=5)
        with pytest.raises(UsageError, match="a topic is made at the top of a module"):
            root.subscribe("prices")
        with pytest.raises(UsageError, match="a topic is made at the top of a module"):
            root.publish("prices", Echo("x"))
        assert "y" == await root["a"].ask(Echo("y"))


class Several:
    """Several values that are compared one by one, as an array of numpy: there is no answer to a ==."""

    __hash__ = None

    def __eq__(self, other):
        return self

    def __bool__(self):
        raise ValueError("ambiguous")


@pytest.mark.parametrize(
    "make",
    [
        lambda it: Supervisor(on_give_up=it),
        lambda it: Supervisor(control=it),
        lambda it: Supervisor(reading=it),
        lambda it: Supervisor(spares=it),
        lambda it: Ready.port("127.0.0.1", it),
    ],
)
def test_values_without_an_equal(make):
    """What cannot be compared is refused as any other value of a wrong type."""
    with pytest.raises(UsageError, match="must be|expected"):
        make(Several())


async def test_words_at_work():
    """A tree of words works like one of members, to its end."""
    spec = ChildSpec(
        Puppet, name="a", restart="permanent", overflow="drop_oldest", routing="round_robin", size=2, output="capture"
    )
    async with Supervisor(spec, strategy="one_for_all", auto_shutdown="never", start="parallel", spares=0) as root:
        assert "x" == await root["a"].ask(Echo("x"))
        assert "one_for_all" in repr(root)
        await root.start_child(ChildSpec(Puppet, name="b", restart="temporary"))
        snapshot = root.snapshot()
        assert Strategy.ONE_FOR_ALL is snapshot.strategy
        await root.terminate_child("b")
    assert RestartPolicy.PERMANENT is spec.restart


async def test_an_interpreter_that_is_none(monkeypatch):
    """Embedded, sys.executable is the server; where it is nothing at all, that is told before the first start."""
    monkeypatch.setattr(spawn, "_python_exe", b"/usr/sbin/no-python")
    with pytest.raises(UsageError, match=r"would execute '/usr/sbin/no-python'.*multiprocessing\.set_executable"):
        async with Supervisor(ChildSpec(Puppet, name="a")):
            pass


async def test_a_pool_counts_once():
    """The messages of a pool stand at its first process."""
    async with Supervisor(ChildSpec(Puppet, name="a", size=3), spares=0) as root:
        for _ in range(5):
            await root["a"].ask(Echo("x"))
        assert 5 == sum(child.fates.get("handled", 0) for child in root.snapshot().children)


async def test_bad_input_that_ends_the_tree():
    """The error says what to do about a handler that raises."""
    with pytest.raises(RestartIntensityExceeded, match="raise Rejected for input that is to be refused"):
        async with Supervisor(ChildSpec(Parser, name="a"), intensity=Intensity(0, 5.0), spares=0) as root:
            with contextlib.suppress(HandlerError):
                await root["a"].ask(Parse("a"))
            await root.wait()
