"""What goes wrong with a message sounds the same to the daemon that sent it and to an actor that did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from actors import Actor, ActorRef, ActorsError, Message, handles
from supervisor import ChildSpec
from supervisor.testing import InlineSupervisor


class Text(Message[int]):
    text: str


class Sleep(Message[int]):
    """Answer after so many seconds."""

    seconds: float


class Drip(Message[AsyncIterator[int]]):
    """Items, each after so many seconds."""

    seconds: float


class Alien(Message[int]):
    """Nobody handles it."""


class Teller(Actor):
    @handles
    async def text(self, msg: Text) -> int:
        return len(msg.text)

    @handles
    async def sleep(self, msg: Sleep) -> int:
        await asyncio.sleep(msg.seconds)
        return 1

    @handles
    async def drip(self, msg: Drip) -> AsyncIterator[int]:
        for number in range(3):
            await asyncio.sleep(msg.seconds)
            yield number


async def first_of(ref: ActorRef, message: Message[AsyncIterator[int]]) -> int:
    async for item in ref.stream(message, timeout=0.1):
        return item
    return -1


Send = Callable[[Callable[[str], ActorRef]], Any]
WRONG: dict[str, tuple[Send, str]] = {
    "no item in time": (
        lambda find: first_of(find("teller"), Drip(1.0)),
        "AskTimeout: /root/teller sent no further item of Drip within 0.1 s",
    ),
    "no answer in time": (
        lambda find: find("teller").ask(Sleep(1.0), timeout=0.1),
        "AskTimeout: /root/teller did not answer Sleep within 0.1 s",
    ),
    "not handled": (
        lambda find: find("teller").ask(Alien()),
        "eller does not handle Alien; it handles Drip, Sleep, Text. Add a method marked @handles",
    ),
    "a class": (
        lambda find: find("teller").ask(Text),  # type: ignore[arg-type]
        "UsageError: Text is the class of a message, not a message: send an instance, Text(...)",
    ),
    "no message": (
        lambda find: find("teller").tell_many([Text("a"), "b"]),  # type: ignore[list-item]
        "UsageError: message 1 of this call: a str is not a message: send instances of Message subclasses",
    ),
    "a wrong field": (
        lambda find: find("teller").tell(Text(5)),  # type: ignore[arg-type]
        "Expected `str`, got `int` - at `$.text`; ",
    ),
    "too large": (
        lambda find: find("narrow").ask(Text("x" * 2000)),
        "UsageError: Text for /root/narrow has 2009 bytes, the most is 1000; raise max_message_bytes",
    ),
    "down": (
        lambda find: find("down").tell(Text("a")),
        "(terminate_child was called, or actorctl stop); Text was not sent",
    ),
}


async def error_of(sending: Any) -> str:
    try:
        return repr(await sending)
    except ActorsError as error:
        return f"{type(error).__name__}: {error}"


class Try(Message[str]):
    """Send that; the error."""

    title: str


class Writer(Actor):
    @handles
    async def send(self, msg: Try) -> str:
        return await error_of(WRONG[msg.title][0](self.context.actor))


@pytest.mark.parametrize("title", WRONG)
async def test_both_are_told_what_is_wrong_and_what_to_do(title):
    send, words = WRONG[title]
    specs = [ChildSpec(Teller, name=name) for name in ("teller", "down")]
    narrow, writer = ChildSpec(Teller, name="narrow", max_message_bytes=1000), ChildSpec(Writer)
    async with InlineSupervisor(*specs, narrow, writer, name="root") as root:
        await root.terminate_child("down")
        assert words in await error_of(send(root.__getitem__))
        assert words in await root["writer"].ask(Try(title))


async def test_an_ask_whose_time_is_over_has_expired_whoever_sent_it():
    async with InlineSupervisor(ChildSpec(Teller), ChildSpec(Writer), name="root") as root:
        for asking in (
            error_of(WRONG["no answer in time"][0](root.__getitem__)),
            root["writer"].ask(Try("no answer in time")),
        ):
            assert "within 0.1 s" in await asking
        await root["teller"].ask(Text("behind them"))
        assert root.snapshot().children[0].fates == {"expired": 2, "handled": 1}
