"""The tables about messages and reports in docs/ say what the code does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

import pytest

from actors import Actor, ActorCrashed, ExitKind, ExitReason, ExitReport, Fed, MailboxFull, Message, handles
from actors.protocol.protocol import protocol_of
from actors.ref import UnboundRef
from actors.wire.log_lines import PRINTED, Record
from actors.wire.progress import Progress
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.routing import Router
from supervisor.core.health.lifetime_limits import TOO_LOW
from supervisor.core.terms import Routing
from supervisor.mailbox.mailbox import Mailbox, MailboxTerms
from supervisor.messaging.refs import MailboxRef
from supervisor.observe.dead_letters import DeadLetter, DeadReason
from supervisor.observe.happenings import HandlerSlow, HealthChanged
from supervisor.observe.reports import Reports
from supervisor.specs import Overflow
from tests.support.scripted import LoneLife
from tests.support.waiting import at_rest

DOCS = Path(__file__).parents[2] / "docs"
NOT_BEGUN, HANDLING, HANDLED = (
    Progress(0, frozenset(), 0, -1),
    Progress(1, frozenset({1}), 0, 0),
    Progress(1, frozenset(), 0, 0),
)
DEATH = ExitReport(actor="/root/a", life=1, pid=None, reason=ExitReason(ExitKind.KILLED, "SIGKILL"))


class Once(Message[int]):
    pass


class Again(Message[int]):
    idempotent: ClassVar[bool] = True


class Flow(Message[AsyncIterator[int]]):
    pass


class FlowAgain(Message[AsyncIterator[int]]):
    idempotent: ClassVar[bool] = True


class Upload(Fed[int, int]):
    pass


class UploadAgain(Fed[int, int]):
    idempotent: ClassVar[bool] = True


class Sample(Actor):
    @handles
    async def one(self, msg: Once | Again) -> int: ...

    @handles
    async def flow(self, msg: Flow | FlowAgain) -> AsyncIterator[int]:
        yield 0

    @handles
    async def upload(self, msg: Upload | UploadAgain, items: AsyncIterator[int]) -> int: ...


def table(page, first_cell):
    """The rows of the table whose header begins with this cell, as lists of cells, header included."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first_cell} |"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return [rows[0], *rows[2:]]


def mailbox(letters, *, overflow=Overflow.WAIT, capacity=100):
    return Mailbox(
        "/root/a",
        protocol_of(Sample),
        MailboxTerms(
            capacity=capacity,
            capacity_bytes=None,
            overflow=overflow,
            max_message_bytes=1000,
            max_deliveries=2,
            members=("a",),
            router=Router(Routing.LEAST_LOADED, ""),
            on_dead_letter=letters.append,
            resolve=UnboundRef,
        ),
    )


def send(ref, way):
    """Send in that way; the result, not awaited."""
    kind, _, how = way.partition(", ")
    again = how.startswith("idempotent")
    if kind == "tell":
        return ref.tell(Again() if again else Once())
    if kind == "stream":
        return anext(ref.stream(FlowAgain() if again else Flow()))
    if kind == "feed":
        return ref.feed(UploadAgain() if again else Upload(), [])
    return ref.ask(Again() if again else Once(), timeout=0.02 if kind == "ask whose time is over" else None)


async def fate(way, doing):
    """What a death in that state does to a message sent in that way, as a cell of the table."""
    letters: list[DeadLetter] = []
    box = mailbox(letters)
    if way.endswith("last delivery"):
        for queue in box.consumers.queues.values():
            queue.attempts.begun[1] = 1
    life, following = LoneLife(doing), LoneLife()
    box.connect("a", life)
    sending = asyncio.create_task(send(MailboxRef(box), way))
    await at_rest()
    assert [1] == life.seqs
    if way == "ask that was cancelled":
        sending.cancel()
    if way in ("ask that was cancelled", "ask whose time is over"):
        await asyncio.wait((sending,))
    box.lost("a", life.progress(), DEATH)
    box.connect("a", following)
    await at_rest()
    if following.seqs:
        assert not box.fates
        assert not letters
        cell = "next life"
    else:
        ((cell, count),) = box.fates.items()
        assert count == 1
        assert [cell] * len(letters) == [letter.reason.value for letter in letters]
        cell += ", dead letter" * len(letters)
    error = sending.exception() if sending.done() and not sending.cancelled() else None
    if isinstance(error, ActorCrashed):
        cell += f" ({error.started}, {error.finished})"
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    return cell


ROWS = {
    **{
        row: (row,) for row in ("tell", "tell, idempotent", "tell, idempotent, last delivery", "ask", "ask, idempotent")
    },
    "ask, idempotent, last delivery": ("ask, idempotent, last delivery",),
    "stream or feed, idempotent or not": ("stream", "stream, idempotent", "feed", "feed, idempotent"),
    "ask that was cancelled": ("ask that was cancelled",),
    "ask whose time is over": ("ask whose time is over",),
}


@pytest.mark.parametrize("row", ROWS)
async def test_fates(row):
    """Every cell of the truth table is what a mailbox does."""
    _, *rows = table("explanation/semantics.md", "message")
    assert list(ROWS) == [one[0] for one in rows]
    told = next(one[1:] for one in rows if one[0] == row)
    for way in ROWS[row]:
        assert told == [await fate(way, doing) for doing in (NOT_BEGUN, HANDLING, HANDLED)], way


def test_the_words_of_fates():
    """Every fate has its line, which says whether it makes a dead letter; every dead letter reason is a fate."""
    _, *rows = table("explanation/semantics.md", "fate")
    elsewhere = {Fate.NO_SUCH_ACTOR.value}  # there is no actor to count it
    assert {fate.value for fate in Fate} - elsewhere == {row[0] for row in rows}
    assert {reason.value for reason in DeadReason} - elsewhere == {row[0] for row in rows if row[1] == "yes"}


@pytest.mark.parametrize("overflow", Overflow)
async def test_overflow(overflow):
    """The table of full mailboxes, for each way to send."""
    _, *rows = table("explanation/semantics.md", "overflow")
    told = next(row[1:] for row in rows if row[0] == overflow.value)
    done = [await at_full(overflow, way) for way in ("tell", "tell_nowait", "ask", "stream", "feed")]
    assert [told[0], told[1], told[2], told[2], told[2]] == done


async def at_full(overflow, way):
    letters: list[DeadLetter] = []
    box = mailbox(letters, overflow=overflow, capacity=2)
    ref = MailboxRef(box)
    ref.tell_nowait(Once())
    ref.tell_nowait(Once())

    async def attempt():
        if way == "tell_nowait":
            ref.tell_nowait(Again())
        else:
            await send(ref, f"{way}, idempotent")

    sending = asyncio.create_task(attempt())
    await at_rest()
    newest = [letter for letter in letters if letter.message_type != "Once"]
    said = ["dead letter"] * len(newest)
    if sending.done() and isinstance(sending.exception(), MailboxFull):
        said.append("MailboxFull")
    elif box.capacity.line:
        said.append("waits for room")
    elif not newest:
        assert box.depth == 2
        said.append("taken")
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    return ", ".join(said)


async def test_reports(logs):
    """Every log line is listed, with its level and its fields."""
    reports = Reports()
    full = {
        "exit_code": 1,
        "signal": "SIGKILL",
        "last_message": "Once",
        "last_message_begun": True,
        "last_message_failed": True,
        "delay": 1.0,
        "traceback": "...",
        "native_stack": "...",
        "deliveries": 1,
        "out_of_memory": False,
        "cpu_time": 1.0,
        "peak_memory": 1024,
        "cause": "...",
        "stderr": ("...",),
        "stacks": "...",
    }
    reports.child_started("/root/a", 1, 2)
    for degraded in ("words", None):
        reports.health_changed(HealthChanged("/root/a", 1, degraded))
    reports.handler_slow(HandlerSlow("/root/a", 1, "A.once", 2.0, "..."))
    reports.descriptors_short("/root", 300, 256)
    for kind in (ExitKind.NORMAL, ExitKind.CRASHED):
        reason = ExitReason(kind, "words")
        reports.child_exited(ExitReport(actor="/root/a", life=1, pid=2, reason=reason, **full), "permanent", 1)
    early = ExitReport(actor="/root/a", life=1, pid=2, reason=ExitReason(ExitKind.SHUTDOWN), because=TOO_LOW)
    reports.child_exited(early, "permanent", 0)
    reports.supervisor_started("/root")
    reports.successor_begun("/root/a", 2)
    reports.supervisor_gave_up("/root", "a", 4)
    reports.task_cancelled("/root")
    reports.supervisor_stopped("/root", ExitReason(ExitKind.SHUTDOWN))
    reports.orphan_reaper_lost("/root", "words")
    reports.spare_failed("/root", "module", "words")
    reports.node_joined("n1")
    reports.node_failed("n1", "words")
    reports.node_lost("n1", "words")
    reports.mailbox_unclaimed("a", 5, 1)
    reports.states_unclaimed("a", ["", "a/1"])
    reports.store_failed("a", OSError("words"))
    reports.schedule_failed("nightly", "a", "words")
    reports.message_dead_lettered(
        DeadLetter(
            actor="/root/a",
            message=Once(),
            message_type="Once",
            sender=None,
            reason=DeadReason.POISON,
            detail="words",
            deliveries=3,
        )
    )
    reports.output_dropped("/root/a", 1, 3, 4)
    for level, stream in (("info", "stdout"), ("warning", "stderr")):
        reports.actor_said("/root/a", 1, Record(level, PRINTED, {"stream": stream, "text": "words"}))
    said: dict[str, tuple[list[str], set[str]]] = {}
    for line in logs:
        levels, fields = said.setdefault(line["event"], ([], set()))
        levels.append(line["log_level"])
        fields |= line.keys() - {"event", "log_level"}
    _, *rows = table("reference/reports.md", "event")
    assert said == {event: (levels.split(", "), set(fields.split(", "))) for event, levels, fields in rows}
