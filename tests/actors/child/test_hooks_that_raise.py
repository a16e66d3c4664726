"""A hook may raise anything: the report says which hook it was, and with which exit code the life ended."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors import Actor, Message, handles
from supervisor import ChildSpec, Intensity, StartFailed
from supervisor.testing import InlineSupervisor
from tests.support.waiting import Watch


class Odd(BaseException):
    """No Exception."""


RAISED = {
    "a BaseException": (Odd("odd"), "tests.actors.child.test_hooks_that_raise.Odd: odd"),
    "an interrupt": (KeyboardInterrupt(), "KeyboardInterrupt"),
    "a cancellation of its own": (asyncio.CancelledError(), "asyncio.exceptions.CancelledError"),
    "GeneratorExit": (GeneratorExit(), "GeneratorExit"),
    "a group": (BaseExceptionGroup("two", [ValueError(), KeyboardInterrupt()]), "BaseExceptionGroup: two"),
    "an exit": (SystemExit(3), "exit code 3: sys.exit(3)"),
    "an exit beyond a byte": (SystemExit(300), "exit code 44: sys.exit(300)"),
    "an exit below zero": (SystemExit(-1), "exit code 255 (-1): sys.exit(-1)"),
}


class Look(Message[None]):
    pass


class Raising(Actor):
    """Raises in one of its hooks."""

    def __init__(self, hook: str, title: str) -> None:
        self.raises = hook
        self.error = RAISED[title][0]

    def on_start(self) -> Any:
        self.in_hook("on_start")

    def on_stop(self, reason: object) -> Any:
        self.in_hook("on_stop")

    def health(self) -> None:
        self.in_hook("health")

    def in_hook(self, name: str) -> None:
        if name == self.raises:
            raise self.error

    @handles
    def look(self, msg: Look) -> None:
        pass


class AsyncRaising(Raising):
    """The same with async hooks and handlers."""

    async def on_start(self) -> None:
        await asyncio.sleep(0)
        self.in_hook("on_start")

    async def on_stop(self, reason: object) -> None:
        await asyncio.sleep(0)
        self.in_hook("on_stop")

    @handles
    async def look(self, msg: Look) -> None:
        pass


def tree(actor: type[Raising], hook: str, title: str) -> InlineSupervisor:
    return InlineSupervisor(ChildSpec(actor, (hook, title), name="a"), intensity=Intensity.unlimited())


@pytest.mark.parametrize("title", RAISED)
@pytest.mark.parametrize("actor", [Raising, AsyncRaising])
async def test_a_start_says_that_it_was_the_hook(actor, title):
    """Whatever its class is, async or not."""
    with pytest.raises(StartFailed) as caught:
        async with tree(actor, "on_start", title):
            pass
    where = f"in {actor.__name__}.on_start"
    assert f"unstarted: {RAISED[title][1]}" in str(caught.value)
    assert where in str(caught.value)


@pytest.mark.parametrize("title", RAISED)
@pytest.mark.parametrize("actor", [Raising, AsyncRaising])
@pytest.mark.parametrize("hook", ["on_stop", "health"])
async def test_a_stop_and_a_health_say_so_too(actor, hook, title):
    """What is no Exception ends the life, with the hook in its report."""
    async with tree(actor, hook, title) as root:
        watch = Watch(root)
        if hook == "on_stop":
            await root.terminate_child("a")
        report = await watch.exited("a")
    assert report.reason.kind.value == "crashed"
    assert report.reason.detail.startswith(RAISED[title][1])
    assert f"in {actor.__name__}.{hook}" in report.reason.detail


class Tick(Message[None]):
    seconds: float


class Ticking(Actor):
    """Two timers' messages at a time; the longer one raises."""

    concurrency = 2

    def on_start(self) -> None:
        for seconds in (0.2, 0.1):
            self.context.after(0.1, Tick(seconds))

    @handles
    async def tick(self, msg: Tick) -> None:
        await asyncio.sleep(msg.seconds)
        if msg.seconds > 0.1:
            raise GeneratorExit("odd")


async def test_a_timers_handler_is_blamed_for_what_it_raises_behind_another():
    async with InlineSupervisor(ChildSpec(Ticking, name="a"), intensity=Intensity.unlimited()) as root:
        report = await Watch(root).exited("a")
    assert report.reason.detail == "GeneratorExit: odd (in Ticking.tick)"
