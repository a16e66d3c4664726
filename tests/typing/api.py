"""What a type checker must know of the public surface; checked by `make check`, never run.

Every `type: ignore` here is an error that the checker must report: an unused one fails the check.
"""

from __future__ import annotations

from typing import ClassVar, assert_type

from actors import Actor, ActorRef, ActorsError, ExitReason, Message, Shared, handles, job
from actors.testing import clock, inline, kill
from supervisor import (
    ChildSpec,
    Intensity,
    JobsRef,
    KeptDeadLetter,
    Missed,
    RestartPolicy,
    Schedule,
    ScheduledMessage,
    Strategy,
    Supervisor,
    SupervisorSpec,
)
from supervisor.bridge import AsyncQueueBridge
from supervisor.bridge.event import AsyncEvent, await_event
from supervisor.store import SQLiteStore, Store
from supervisor.testing import InlineSupervisor
from supervisor.testing.fixtures import Trees


class Receipt(Message[None]):
    number: int


class Tokenise(Message[int]):
    path: str
    depth: int = 0


class Charge(Message[Receipt]):
    idempotent: ClassVar[bool] = True

    order: str


class Indexer(Actor):
    def __init__(self, db: str) -> None:
        self.db = db

    def on_start(self) -> None:
        assert_type(self.context.life, int)
        assert_type(self.context.incarnation, int)
        assert_type(self.context.ref, ActorRef)
        self.context.every(1.0, Tokenise("a"))

    async def on_stop(self, reason: ExitReason) -> None:
        assert_type(reason.abnormal, bool)

    @handles
    def tokenise(self, msg: Tokenise) -> int:
        return len(msg.path)

    @handles
    async def charge(self, msg: Charge | Receipt) -> Receipt | None:
        return Receipt(1) if isinstance(msg, Charge) else None


async def sends(ref: ActorRef) -> None:
    """`ask` knows the reply's type from the message."""
    assert_type(await ref.ask(Tokenise("a.py"), timeout=5.0), int)
    assert_type(await ref.ask(Charge(order="b"), when_down="fail"), Receipt)
    assert_type(await ref.tell(Receipt(3)), None)
    assert_type(await ref.ask_many([Tokenise("a.py"), Tokenise("b.py")], timeout=5.0), list[int | ActorsError])
    assert_type(await ref.tell_many([Tokenise("a.py"), Receipt(3)]), None)
    assert_type(ref.call_many(Tokenise(path) for path in ("a", "b")), list[int | ActorsError])
    await ref.ask_many(["a.py"])  # type: ignore[arg-type]
    await ref.ask("a.py")  # type: ignore[arg-type]
    await ref.ask(Tokenise(3))  # type: ignore[arg-type]
    await ref.ask(Tokenise("a.py"), when_down="maybe")  # type: ignore[arg-type]
    Tokenise()  # type: ignore[call-arg]


async def supervises() -> None:
    """The daemon's side."""
    async with Supervisor(
        ChildSpec(Indexer, args=("code.db",), name="indexer", restart=RestartPolicy.PERMANENT, shutdown=5.0),
        SupervisorSpec(
            ChildSpec(Indexer, args=("x",), name="parser", size=4),
            name="parsers",
            strategy=Strategy.ONE_FOR_ALL,
            intensity=Intensity(3, 5.0),
        ),
        name="root",
        strategy=Strategy.ONE_FOR_ONE,
    ) as root:
        assert_type(root, Supervisor)
        assert_type(root["indexer"], JobsRef)
        assert_type(await root.serve(), ExitReason)
        async for event in root.events():
            if isinstance(event, Missed):
                assert_type(event.count, int)


async def bridges() -> None:
    """The primitives for plain multiprocessing code."""
    bridge: AsyncQueueBridge[str] = AsyncQueueBridge(maxsize=3)
    await bridge.submit("a")
    assert_type(await bridge.fetch(), str)
    await bridge.submit(3)  # type: ignore[arg-type]
    event = AsyncEvent()
    assert_type(await event.wait(timeout=1.0), bool)
    assert_type(await await_event(event, timeout=1.0), bool)


def a_program_without_a_loop() -> None:
    """The tree in a thread is a Supervisor; `call` is typed as `ask`."""
    with Supervisor.in_thread(ChildSpec(Indexer), on_give_up="sigterm") as root:
        assert_type(root, Supervisor)
        assert_type(root["indexer"].call(Tokenise("a.py"), timeout=5.0), int)
        root["indexer"].call("a.py")  # type: ignore[arg-type]
    Supervisor(ChildSpec(Indexer), on_give_up="exit")  # type: ignore[arg-type]


async def misspells_options(trees: Trees) -> None:
    """Each way to a tree knows its options by name and by type."""
    spec = ChildSpec(Indexer, args=("code.db",))
    Supervisor(spec, strategi=Strategy.ONE_FOR_ALL)  # type: ignore[call-arg]
    Supervisor(spec, strategy=3)  # type: ignore[arg-type]
    Supervisor(spec, intensity=(3, 5.0))  # type: ignore[arg-type]
    Supervisor(spec, shutdown=5.0)  # type: ignore[call-arg]
    Supervisor.in_thread(spec, spare=2)  # type: ignore[call-arg]
    Supervisor.in_thread(spec, name=b"shop")  # type: ignore[arg-type]
    InlineSupervisor(spec, intensiti=Intensity(3, 5.0))  # type: ignore[call-arg]
    await trees(spec, max_childs=5)  # type: ignore[call-arg]
    trees.new(spec, start="at once")  # type: ignore[arg-type]


@job
def parse(path: str) -> list[int]:
    return [len(path)]


@job
def join(left: str, right: int, depth: int = 1, *, strict: bool = False) -> bytes:
    return f"{left}{right}{depth}{strict}".encode()


@job
def rest() -> None: ...


async def runs_jobs(pool: JobsRef) -> None:
    """`run` and `map` know the types of a job's arguments and result; a job is still the function that it was."""
    assert_type(parse("a.py"), list[int])
    assert_type(await pool.run(parse, "a.py", timeout=10, idempotent=True), list[int])
    assert_type(await pool.run(join, "a", 1, strict=True), bytes)
    assert_type(await pool.run(join, "a", 1, 2), bytes)
    assert_type(await pool.run(rest), None)
    async for one in pool.map(parse, ["a.py"], limit=64, timeout=10, ordered=False):
        assert_type(one, list[int])
    async for outcome in pool.map(parse, iter(["a.py"]), return_exceptions=True, progress="parsing"):
        assert_type(outcome, list[int] | ActorsError)
    await pool.run(parse, 3)  # type: ignore[arg-type]
    await pool.run(parse)  # type: ignore[arg-type]
    await pool.run(join, "a", "b")  # type: ignore[arg-type]
    await pool.run(parse, "a.py", timeout="soon")  # type: ignore[arg-type]
    pool.map(parse, [1])  # type: ignore[arg-type]


class Picture(Message[Shared]):
    pixels: Shared
    mask: Shared | None = None


@job
def blur(picture: Shared, others: list[Shared]) -> tuple[Shared, float]:
    return others[0] if others else picture, 0.5


async def shares_memory(ref: ActorRef, pool: JobsRef) -> None:
    """A Shared is a value like any other, in messages, replies and jobs."""
    made = Shared.of(b"pixels")
    assert_type(made, Shared)
    assert_type(await ref.ask(Picture(made)), Shared)
    assert_type(await pool.run(blur, made, [made]), tuple[Shared, float])
    assert_type(made.memoryview(), memoryview)
    assert_type(made.seal(), Shared)
    assert_type((made.size, made.dtype, made.shape), tuple[int, str, tuple[int, ...]])
    with Shared.allocate(1000) as written:
        assert_type(written, Shared)
    Shared.allocate(shape=(1080, 1920), dtype="f4")
    Picture(b"pixels")  # type: ignore[arg-type]
    Shared.allocate("large")  # type: ignore[arg-type]
    async with Supervisor(ChildSpec(Indexer, args=("code.db",)), spares="auto", max_shared_bytes=2**30) as root:
        assert_type(root.snapshot().shared_bytes, int)
    Supervisor(ChildSpec(Indexer), spares="many")  # type: ignore[arg-type]


async def keeps_messages(message: Tokenise) -> None:
    """A store is any of the port; schedules and dead letters are typed."""
    store: Store = SQLiteStore("shop.db", sync="normal", keep_keys=60)
    async with Supervisor(ChildSpec(Indexer, args=("code.db",), durable=True), store=store) as root:
        await root.schedule("nightly", "indexer", message, Schedule.cron("0 3 * * *", tz="Europe/Berlin"))
        root.schedule("often", "indexer", message, 60)  # type: ignore[arg-type]
        assert_type(root.schedules(), tuple[ScheduledMessage, ...])
        assert_type(await root.store.dead_letters("indexer"), list[KeptDeadLetter])
        async for letter in root.store.dead_letters():
            await root.store.requeue(letter.id)
    SQLiteStore("shop.db", sync="fast")  # type: ignore[arg-type]


async def tests_actors(trees: Trees) -> None:
    """Inline an actor has an ActorRef, the fixture `tree` gives a Supervisor."""
    async with inline(Indexer, "code.db") as ref:
        assert_type(ref, ActorRef)
        assert_type(await ref.ask(Tokenise("a.py")), int)
        await ref.ask("a.py")  # type: ignore[arg-type]
    async with inline(ChildSpec(Indexer, args=("code.db",))) as ref:
        await clock.advance(60)
        kill(ref)
    async with InlineSupervisor(ChildSpec(Indexer, args=("code.db",)), intensity=Intensity(3, 5.0)) as root:
        assert_type(root, InlineSupervisor)
        assert_type(root["indexer"], JobsRef)
    assert_type(await trees(ChildSpec(Indexer, args=("code.db",))), Supervisor)
    inline("Indexer")  # type: ignore[arg-type]
    await clock.advance("a minute")  # type: ignore[arg-type]
