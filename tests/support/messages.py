"""Actors for the tests of messages: slow ones, streams, feeds, topics, and actors that send to others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

from actors import Actor, ActorRef, Fed, Message, Terminated, Topic, handles
from actors.lazy import LazyModule
from actors.puppet import die
from tests.support.actors import wait_for_file
from tests.support.taking_time import sleep_forever, sleep_forever_async

asyncio = LazyModule("asyncio")  # the processes of actors with sync handlers do without


class Put(Message[int]):
    number: int


class Seen(Message[list[int]]):
    """The numbers that were put, or published."""


class Said(Message[list[str]]):
    """What the actor noted about itself."""


class Hold(Message[str]):
    """Hold the handler until the file is there."""

    path: str


class Blob(Message[bytes]):
    data: bytes


class Grow(Message[bytes]):
    """A reply of so many bytes."""

    size: int


class Kill(Message[None]):
    pass


class KillOften(Message[int]):
    """Kills its process every time."""

    idempotent: ClassVar[bool] = True


class Count(Message[AsyncIterator[int]]):
    """Items 0, 1, ...; at `at` the generator does `then`: kill, raise, or hold still for an hour."""

    number: int
    at: int = -1
    then: str = ""


class Sum(Fed[int, int]):
    """The sum of what follows; `after` so many the handler kills its process, raises or replies early."""

    after: int = -1
    then: str = ""


class Through(Message[int]):
    """Ask the other one to put a number: with `call`, `ask`, or an ask of a background task."""

    to: ActorRef
    how: str = "ask"
    timeout: float = 20.0


class AskToHold(Message[str]):
    """Ask another to hold, and say what came of it."""

    to: ActorRef
    path: str
    timeout: float = 60.0


class Ring(Message[str]):
    """Ask the next one of the ring to ask the next one."""

    way: list[str]
    how: str = "ask"


class ReadOther(Message[list[int]]):
    """Read another's stream, of which `leave` items."""

    to: ActorRef
    number: int
    leave: int = -1


class TellOther(Message[str]):
    """Tell another these numbers: with `tell`, one after the other, `nowait`, `gather` or `cancel`."""

    to: ActorRef
    numbers: list[int]
    how: str = "tell"
    delay: float = 0.0


class SendBlob(Message[str]):
    to: ActorRef
    size: int


class Timers(Message[None]):
    delay: float


class Publish(Message[None]):
    number: int


class WatchOther(Message[None]):
    to: ActorRef


class Me(Message[ActorRef]):
    pass


class Sender(Message[ActorRef]):
    """Who sent this?"""


class AskSender(Message[ActorRef]):
    """Ask a sibling who it thinks the sender is."""

    name: str


class Price(Message[None]):
    number: int


class Odd(Message[None]):
    words: str


PRICES = Topic("prices", Price)
ODD = Topic("prices", Odd)


class Notes(Actor):
    """What the helpers share."""

    def __init__(self, diary: str = "") -> None:
        self.numbers: list[int] = []
        self.said: list[str] = []
        self.diary = diary

    def say(self, line: str) -> None:
        self.said.append(line)
        if self.diary:
            with Path(self.diary).open("a") as file:
                file.write(line + "\n")


class Sync(Notes):
    """One thing at a time, without a loop."""

    @handles
    def put(self, msg: Put) -> int:
        self.numbers.append(msg.number)
        return msg.number

    @handles
    def seen(self, msg: Seen) -> list[int]:
        return self.numbers

    @handles
    def tell_said(self, msg: Said) -> list[str]:
        return self.said

    @handles
    def hold(self, msg: Hold) -> str:
        self.say("holding")
        wait_for_file(msg.path)
        self.say("held")
        return "held"

    @handles
    def blob(self, msg: Blob) -> bytes:
        return msg.data

    @handles
    def kill(self, msg: Kill | KillOften) -> Any:
        die()

    @handles
    def count(self, msg: Count) -> Iterator[int]:
        try:
            for number in range(msg.number):
                if number == msg.at:
                    trouble(msg.then)
                self.say(f"made {number}")
                yield number
        finally:
            self.say("closed")

    @handles
    def sum(self, msg: Sum, items: Iterator[int]) -> int:
        total = 0
        try:
            for taken, item in enumerate(items):
                if taken == msg.after:
                    if msg.then == "reply":
                        return total
                    trouble(msg.then)
                total += item
            return total
        finally:
            self.say("sum over")

    @handles
    def ack_up_to(self, msg: Through) -> int:
        return msg.to.call(Put(7), timeout=msg.timeout)

    @handles
    def ask_to_hold(self, msg: AskToHold) -> str:
        try:
            return msg.to.call(Hold(msg.path), timeout=msg.timeout)
        except Exception as error:
            self.say(type(error).__name__)
            return f"{type(error).__name__}: {error}"

    @handles
    def ring(self, msg: Ring) -> str:
        if not msg.way:
            return "round"
        try:
            return self.context.actor(msg.way[0]).call(Ring(msg.way[1:]), timeout=20.0)
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    @handles
    def tell_other(self, msg: TellOther) -> str:
        for number in msg.numbers:
            msg.to.tell_nowait(Put(number))
        return "told"

    @handles
    def timers(self, msg: Timers) -> None:
        self.context.after(msg.delay, Put(1))
        self.context.every(msg.delay, Put(2))

    @handles
    def me(self, msg: Me) -> ActorRef:
        return self.context.ref

    @handles
    def sender(self, msg: Sender) -> ActorRef:
        if self.context.sender is None:
            raise LookupError("nobody")
        return self.context.sender

    @handles
    def watch(self, msg: WatchOther) -> None:
        self.context.watch(msg.to)

    @handles
    def terminated(self, msg: Terminated) -> None:
        self.say(f"{msg.path} {msg.reason}")


class Async(Notes):
    """One thing at a time, on a loop."""

    @handles
    async def put(self, msg: Put) -> int:
        self.numbers.append(msg.number)
        return msg.number

    @handles
    async def seen(self, msg: Seen) -> list[int]:
        return self.numbers

    @handles
    async def tell_said(self, msg: Said) -> list[str]:
        return self.said

    @handles
    async def hold(self, msg: Hold) -> str:
        self.say("holding")
        try:
            while not Path(msg.path).exists():  # noqa: ASYNC240 - a file is what another process can touch
                await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            self.say("cancelled")
            raise
        self.say("held")
        return "held"

    @handles
    async def kill(self, msg: Kill | KillOften) -> Any:
        die()

    @handles
    async def count(self, msg: Count) -> AsyncIterator[int]:
        try:
            for number in range(msg.number):
                if number == msg.at:
                    if msg.then == "hold":
                        await sleep_forever_async()
                    trouble(msg.then)
                self.say(f"made {number}")
                yield number
        finally:
            self.say("closed")

    @handles
    async def sum(self, msg: Sum, items: AsyncIterator[int]) -> int:
        total = taken = 0
        try:
            async for item in items:
                if taken == msg.after:
                    if msg.then == "reply":
                        return total
                    trouble(msg.then)
                total, taken = total + item, taken + 1
            return total
        finally:
            self.say("sum over")

    @handles
    async def ack_up_to(self, msg: Through) -> int:
        if msg.how == "call":
            return msg.to.call(Put(7))
        if msg.how == "later":
            self.later = asyncio.create_task(self.ask_later(msg.to))
            return 0
        return await msg.to.ask(Put(7), timeout=msg.timeout)

    async def ask_later(self, to: ActorRef) -> None:
        self.say(f"{await to.ask(Through(self.context.ref))}")

    @handles
    async def ask_to_hold(self, msg: AskToHold) -> str:
        try:
            return await msg.to.ask(Hold(msg.path), timeout=msg.timeout)
        except asyncio.CancelledError:
            self.say("cancelled")
            raise
        except Exception as error:
            self.say(type(error).__name__)
            return f"{type(error).__name__}: {error}"

    @handles
    async def ring(self, msg: Ring) -> str:
        if not msg.way:
            return "round"
        try:
            return await self.context.actor(msg.way[0]).ask(Ring(msg.way[1:]), timeout=20.0)
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    @handles
    async def read_other(self, msg: ReadOther) -> list[int]:
        got = []
        stream = msg.to.stream(Count(msg.number))
        async for item in stream:
            if len(got) == msg.leave:
                break
            got.append(item)
        await stream.aclose()
        return got

    @handles
    async def tell_other(self, msg: TellOther) -> str:
        if msg.how == "nowait":
            for number in msg.numbers:
                msg.to.tell_nowait(Put(number))
        elif msg.how == "gather":
            await asyncio.gather(*(msg.to.tell(Put(number)) for number in msg.numbers))
        else:
            for number in msg.numbers:
                try:
                    await msg.to.tell(Put(number), delay=msg.delay)
                except Exception as error:
                    return f"{type(error).__name__}: {error}"
        return "told"

    @handles
    async def grow(self, msg: Grow) -> bytes:
        return bytes(msg.size)

    @handles
    async def send_blob(self, msg: SendBlob) -> str:
        try:
            return str(len(await msg.to.ask(Blob(b"x" * msg.size))))
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    @handles
    async def publish(self, msg: Publish) -> None:
        self.context.publish(PRICES, Price(msg.number))

    @handles
    async def publish_odd(self, msg: Odd) -> None:
        if msg.words == "refused":
            self.context.publish(PRICES, msg)  # type: ignore[arg-type]
        self.context.publish(ODD, msg)

    @handles
    async def me(self, msg: Me) -> ActorRef:
        return self.context.ref

    @handles
    async def ask_sender(self, msg: AskSender) -> ActorRef:
        return await self.context.actor(msg.name).ask(Sender())


class Stoic(Async):
    """Lives on after an exception."""

    on_error = "reply"


class Many(Async):
    """Several things at once."""

    concurrency = 4


class Stall(Message[None]):
    """Hold up the actor's whole loop until the file is there; note that as the file `path` + ".begun"."""

    path: str


class AfterStall(Message[str]):
    """Wait on the loop until a Stall is over, and for a timer after that."""


class Stalling(Async):
    """Two things at once, one of which holds up the loop."""

    concurrency = 2

    def on_start(self) -> None:
        self.stall_over = asyncio.Event()

    @handles
    async def stall(self, msg: Stall) -> None:
        Path(f"{msg.path}.begun").touch()  # noqa: ASYNC240 - that it holds up the loop is the point
        wait_for_file(msg.path)
        self.stall_over.set()

    @handles
    async def after_stall(self, msg: AfterStall) -> str:
        await self.stall_over.wait()
        await asyncio.sleep(0.001)
        return "after"


class Subscriber(Notes):
    """Keeps what is published."""

    def on_start(self) -> None:
        self.context.subscribe(PRICES)

    @handles
    def price(self, msg: Price) -> None:
        self.numbers.append(msg.number)

    @handles
    def seen(self, msg: Seen) -> list[int]:
        return self.numbers

    @handles
    def hold(self, msg: Hold) -> str:
        wait_for_file(msg.path)
        return "held"

    @handles
    def kill(self, msg: Kill) -> None:
        die()


def trouble(what: str) -> None:
    if what == "kill":
        die()
    if what == "raise":
        raise ValueError("in the middle")
    if what == "hold":
        sleep_forever()
