"""docs/reference/refusals.md: rows that no other test meets are met here, with the words of the page."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, overload

import pytest

from actors import Actor, HandlerError, Message, Shared, Topic, UsageError, handles, job
from actors.event import KernelCounter
from actors.protocol.protocol import protocol_of
from actors.queue import SafeQueue
from supervisor import ChildSpec, Ready, Restart, Schedule, Supervisor
from supervisor.store import SQLiteStore
from supervisor.testing import InlineSupervisor, ScriptedLauncher

PAGE = (Path(__file__).parents[2] / "docs/reference/refusals.md").read_text().replace("`", "").replace("\\|", "|")


class Add(Message[int]):
    number: int


class Rows(Message[AsyncIterator[int]]):
    pass


class Part(Message[Shared]):
    pass


class Asks(Message[int]):
    pass


class Carry(Message[None]):
    what: Any


class Sums(Actor):
    @handles
    def add(self, msg: Add) -> int:
        return msg.number

    @handles
    def carry(self, msg: Carry) -> None:
        pass

    @handles
    def asks(self, msg: Asks) -> Any:
        waits = self.context.actor("a").ask(Add(1))
        return waits.send(None)


class Parts(Actor):
    @handles
    def part(self, msg: Part) -> Shared:
        raise AssertionError("it is never called")


@overload
def overloaded(self: Actor, msg: Add) -> int: ...
@overload
def overloaded(self: Actor, msg: Asks) -> int: ...
def overloaded(self: Actor, msg: Add | Asks) -> int:
    raise AssertionError("it is never called")


def overload_of(function: Callable[..., Any]) -> Any:
    return overload(function)


def no_rows(self: Actor, msg: Rows) -> list[int]:
    raise AssertionError("it is never called")


def feed(count: int) -> list[int]:
    yield count  # type: ignore[misc]  # it is not a job


def read(of: type[Actor]) -> None:
    protocol_of(of)


MET: dict[str, tuple[Callable[[], object], str]] = {
    "a sync= that is none": (
        lambda: SQLiteStore("shop.db", sync="fast"),
        "sync of shop.db must be 'full' or 'normal'; it is 'fast'",
    ),
    "a cron that is none": (
        lambda: Schedule.cron("61 * * * *"),
        "Schedule.cron cannot read '61 * * * *': Bad minute; write it as '0 3 * * *'",
    ),
    "an overload": (lambda: handles(overload_of(no_rows)), "@handles stands above an overload; "),
    "a stream without a generator": (
        lambda: read(type("Mine", (Actor,), {"rows": handles(no_rows)})),
        "Rows promises a stream, but Mine.rows is not a generator; yield the items, or promise one reply: class ",
    ),
    "a property as save": (
        lambda: read(type("Mine", (Sums,), {"save": property(len), "load": lambda self, state: None})),
        "Mine.save is a property, not a plain method; ",
    ),
    "a builtin as a handler": (
        lambda: handles(len),
        "@handles marks plain methods, and a builtin_function_or_method is none",
    ),
    "a job with a yield": (lambda: job(feed), "has a yield; a job has one result, return a list"),
    "rules that are no mapping": (
        lambda: Restart("permanent", [1]),  # type: ignore[arg-type]
        " are not rules; write them as {Cause.hang: 'stop', ...}",
    ),
    "a host that is none": (
        lambda: Ready.port(5, 80),  # type: ignore[arg-type]
        "Ready.port: expected a host as a str, for instance '127.0.0.1', got 5",
    ),
    "a port that is none": (
        lambda: Ready.port("localhost", 0),
        "Ready.port: expected a port from 1 to 65535, or '{port}', got 0",
    ),
    "a Shared as a kept reply": (
        lambda: Supervisor(ChildSpec(Parts, durable=True), store=SQLiteStore("shop.db")),
        "has a Shared in it; reply with bytes",
    ),
    "a scripted life that is over": (lambda: ScriptedLauncher().life("/root/a"), "/root/a has no life now"),
    "a queue beyond counting": (lambda: SafeQueue(2**70), " is more than can be counted ("),
    "a long topic": (lambda: Topic("configuration-change" * 15, Add), "'... has a name of 300 characters, 255 fit"),
}


@pytest.mark.parametrize("what", MET)
def test_a_refusal_is_met(what):
    """Its words are those of the page, its text is one line."""
    provoke, words = MET[what]
    with pytest.raises(UsageError) as caught:
        provoke()
    assert words in str(caught.value)
    assert words in PAGE
    assert "\n" not in str(caught.value)


async def test_refusals_of_a_tree():
    """Names and schedules; and a sync handler that awaits."""
    async with InlineSupervisor(ChildSpec(Sums, name="a")) as root:
        await root.schedule("nightly", "a", Add(1), Schedule.every(100.0))
        for call, words in (
            (lambda: root[5], "/root finds actors by name: root['indexer']; 5 is not a str"),
            (lambda: root.unschedule("x"), "/root has no schedule 'x'; it has: nightly"),
            (
                lambda: root.schedule("nightly", "a", Add(1), 60),
                "schedule 'nightly' takes Schedule.every(...), .at(...) or .cron(...); it is 60",
            ),
        ):
            with pytest.raises(UsageError) as caught:
                call()
            assert str(caught.value).startswith(words)
            assert words in PAGE
        with (
            pytest.raises(UsageError, match="a Shared travels where an annotation says so: "),
            Shared.of(b"x" * 2**16) as shared,
        ):
            await root["a"].tell(Carry(shared))
        words = "a sync handler cannot await; use ref.call(...) and ref.tell_nowait(...), or make it async def"
        with pytest.raises(HandlerError) as failed:
            await root["a"].ask(Asks())
        assert words in str(failed.value).replace("`", "")
        assert words in PAGE


def test_refusals_of_other_systems(monkeypatch):
    """Where there is no eventfd, a counter has an end; without numpy there are no arrays."""
    monkeypatch.delattr(os, "eventfd", raising=False)
    with pytest.raises(UsageError, match="needs eventfd \\(Linux\\); here it can hold "):
        KernelCounter(2**17, semaphore=True)
    monkeypatch.setitem(sys.modules, "numpy", None)
    shared = Shared.of(b"12345678")
    with pytest.raises(UsageError, match="arrays of a Shared need numpy: pip install numpy"):
        shared.array()
    shared.close()
