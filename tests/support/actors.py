"""The actors that run in the tests' spawned processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from actors import Actor, ExitReason, HandlerError, Message, NoSuchActor, Rejected, handles
from actors.lazy import LazyModule
from actors.puppet import hang
from actors.wire.codec import encode
from actors.wire.from_child import Outcome, Outcomes
from actors.wire.kinds import NOTHING
from tests.support.inside import channel_of
from tests.support.taking_time import sleep_forever

asyncio = LazyModule("asyncio")  # the processes of actors with sync handlers do without


class Who(msgspec.Struct, frozen=True):
    name: str
    path: str
    incarnation: int
    ref: str
    pid: int
    sender: str | None


class WhoAreYou(Message[Who]):
    pass


class Echo(Message[str]):
    text: str


class Note(Message[None]):
    number: int


class Notes(Message[list[int]]):
    pass


class Fail(Message[None]):
    text: str = "out of luck"


class FailBadly(Message[None]):
    """Raises what cannot be put into words."""

    how: str


class Refuse(Message[None]):
    text: str


class Lie(Message[int]):
    pass


class SysExit(Message[None]):
    code: int


class OsExit(Message[None]):
    code: int


class KillYourself(Message[None]):
    number: int = signal.SIGKILL


class StopYourself(Message[str]):
    pass


class Block(Message[None]):
    """Hold the handler until a file is there."""

    path: str


class Modules(Message[list[str]]):
    pass


class Say(Message[None]):
    level: str
    event: str
    fields: dict[str, str | int]


class SayOddly(Message[None]):
    """Log what msgpack cannot carry."""


class SetTimers(Message[None]):
    delay: float
    count: int


class Tick(Message[None]):
    number: int


class Misbehave(Message[None]):
    """Break the protocol."""

    how: str


class Again(Message[int]):
    """Kills its actor's process as long as the file is not there; may be delivered again."""

    idempotent: ClassVar[bool] = True
    path: str = ""


class Forward(Message[None]):
    """Tell another actor a note."""

    to: str
    number: int


class AskOther(Message[str]):
    """Ask another actor to echo, and say what came of it."""

    to: str
    text: str
    when_down: str = "wait"
    timeout: float = 5.0


class AskOtherToFail(Message[str]):
    to: str
    how: str


class Common(Actor):
    """What all the helpers handle."""

    def __init__(self, diary: str = "") -> None:
        self.diary = diary
        self.notes: list[int] = []

    def on_start(self) -> None:
        self.write(f"start {self.context.name} {self.context.incarnation}")

    def on_stop(self, reason: ExitReason) -> None:
        self.write(f"stop {self.context.name} {reason.kind.value}")

    def write(self, line: str) -> None:
        if self.diary:
            with Path(self.diary).open("a") as file:
                file.write(line + "\n")


class Puppet(Common):
    """Does whatever it is told, one thing at a time."""

    @handles
    def who(self, msg: WhoAreYou) -> Who:
        context = self.context
        sender = None if context.sender is None else context.sender.path
        return Who(context.name, context.path, context.incarnation, context.ref.path, os.getpid(), sender)

    @handles
    def echo(self, msg: Echo) -> str:
        return msg.text

    @handles
    def note(self, msg: Note) -> None:
        self.notes.append(msg.number)

    @handles
    def read(self, msg: Notes) -> list[int]:
        return self.notes

    @handles
    def fail(self, msg: Fail) -> None:
        raise ValueError(msg.text)

    @handles
    def fail_badly(self, msg: FailBadly) -> None:
        if msg.how == "surrogate":
            raise OSError("cannot open \udcff")
        raise Unspeakable

    @handles
    def refuse(self, msg: Refuse) -> None:
        raise Rejected(msg.text)

    @handles
    def lie(self, msg: Lie) -> Any:
        return "many"

    @handles
    def sys_exit(self, msg: SysExit) -> None:
        sys.exit(msg.code)

    @handles
    def os_exit(self, msg: OsExit) -> None:
        os._exit(msg.code)

    @handles
    def kill(self, msg: KillYourself) -> None:
        os.kill(os.getpid(), msg.number)

    @handles
    def stop(self, msg: StopYourself) -> str:
        self.context.stop()
        return "going"

    @handles
    def block(self, msg: Block) -> None:
        wait_for_file(msg.path)

    @handles
    def modules(self, msg: Modules) -> list[str]:
        return sorted(sys.modules)

    @handles
    def say(self, msg: Say) -> None:
        getattr(self.context.log, msg.level)(msg.event, **msg.fields)

    @handles
    def say_oddly(self, msg: SayOddly) -> None:
        self.context.log.info("odd.said", name="\udcff", number=2**80, thing=object)

    @handles
    def misbehave(self, msg: Misbehave) -> None:
        channel = channel_of(self)
        if msg.how == "garbage":
            channel.send(b"\xc1\xc1")
        elif msg.how == "length":
            channel.duplex.send_all(b"\xff\xff\xff\xbf")
        elif msg.how == "shared length":
            channel.duplex.send_all(b"\xff\xff\xff\xff")
        elif msg.how == "deaf":
            channel.duplex.close_incoming()
        elif msg.how == "forged":
            channel.send(encode(Outcomes(0, [Outcome(999, 0, NOTHING)])))
        else:
            channel.duplex.close_outgoing()
        sleep_forever()

    @handles
    def set_timers(self, msg: SetTimers) -> None:
        self.context.after(msg.delay, Tick(-1))
        for number in range(msg.count):
            self.context.every(msg.delay, Tick(number))

    @handles
    def tick(self, msg: Tick) -> None:
        self.notes.append(msg.number)

    @handles
    def again(self, msg: Again) -> int:
        if not msg.path or not Path(msg.path).exists():
            if msg.path:
                Path(msg.path).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.context.incarnation

    @handles
    def forward(self, msg: Forward) -> None:
        self.context.actor(msg.to).tell_nowait(Note(msg.number))


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Stoic(Puppet):
    """Lives on after every exception."""

    on_error = "reply"


class AsyncPuppet(Common):
    """Several things at once."""

    concurrency = 3

    async def on_start(self) -> None:
        await asyncio.sleep(0)
        super().on_start()

    async def on_stop(self, reason: ExitReason) -> None:
        await asyncio.sleep(0)
        super().on_stop(reason)

    @handles
    async def who(self, msg: WhoAreYou) -> Who:
        await asyncio.sleep(0)
        context = self.context
        sender = None if context.sender is None else context.sender.path
        return Who(context.name, context.path, context.incarnation, context.ref.path, os.getpid(), sender)

    @handles
    async def echo(self, msg: Echo) -> str:
        return msg.text

    @handles
    async def block(self, msg: Block) -> None:
        self.notes.append(len(self.notes))
        while not Path(msg.path).exists():  # noqa: ASYNC240 - a file is what another process can touch
            await asyncio.sleep(0.002)

    @handles
    async def read(self, msg: Notes) -> list[int]:
        return self.notes

    @handles
    async def note(self, msg: Note) -> None:
        self.notes.append(msg.number)

    @handles
    async def fail(self, msg: Fail) -> None:
        await asyncio.sleep(0)
        raise ValueError(msg.text)

    @handles
    async def exit(self, msg: SysExit) -> None:
        sys.exit(msg.code)

    @handles
    async def set_timers(self, msg: SetTimers) -> None:
        self.context.after(msg.delay, Tick(-1))
        for number in range(msg.count):
            self.context.every(msg.delay, Tick(number))

    @handles
    async def tick(self, msg: Tick) -> None:
        self.notes.append(msg.number)

    @handles
    async def ask_other(self, msg: AskOther) -> str:
        try:
            return await self.context.actor(msg.to).ask(
                Echo(msg.text),
                timeout=msg.timeout,
                when_down=msg.when_down,  # type: ignore[arg-type]
            )
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    @handles
    async def ask_to_fail(self, msg: AskOtherToFail) -> str:
        message: Message[Any] = {
            "fail": Fail("elsewhere"),
            "refuse": Refuse("not now"),
            "kill": KillYourself(),
            "unknown": SetTimers(0, 0),
        }[msg.how]
        try:
            await self.context.actor(msg.to).ask(message)
        except HandlerError as error:
            return f"HandlerError: {error.type_name}: {error.message}"
        except NoSuchActor as error:
            return f"NoSuchActor: {error}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "nothing"


class One(AsyncPuppet):
    """Async, one at a time."""

    concurrency = 1


class FailsToStart(Common):
    def on_start(self) -> None:
        raise ConnectionError("no database here")


class FailsToStartLater(Common):
    """The first start succeeds."""

    def on_start(self) -> None:
        super().on_start()
        if self.context.incarnation > 1:
            raise ConnectionError("gone meanwhile")

    @handles
    def kill(self, msg: KillYourself) -> None:
        os.kill(os.getpid(), msg.number)

    @handles
    def echo(self, msg: Echo) -> str:
        return msg.text


class HangsInStart(Common):
    def on_start(self) -> None:
        sleep_forever()


class WaitsInStart(Common):
    """As HangsInStart, and inline it can be killed."""

    def on_start(self) -> None:
        hang()


class FailsInInit(Common):
    def __init__(self) -> None:
        raise LookupError("no settings")


class FailsInStop(Common):
    def on_stop(self, reason: ExitReason) -> None:
        raise RuntimeError("cannot let go")


class HangsInStop(Common):
    def on_stop(self, reason: ExitReason) -> None:
        super().on_stop(reason)
        sleep_forever()


class Unpicklable:
    """Pickles here and fails there."""

    def __reduce__(self) -> Any:
        return _explode, ()


def _explode() -> None:
    raise OverflowError("cannot be rebuilt")


class Spawner(Common):
    """Leaves a grandchild that holds everything it inherited."""

    @handles
    def fork(self, msg: Echo) -> str:
        pid = os.fork()
        if pid == 0:
            while True:
                sleep_forever()
        return str(pid)

    @handles
    def kill(self, msg: KillYourself) -> None:
        os.kill(os.getpid(), msg.number)


def wait_for_file(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.002)
