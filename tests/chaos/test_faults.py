"""Every fault there is, against a loaded tree: nothing hangs, no sibling is disturbed, and the report says why.

One table, one runner. A short form runs with the suite, each fault once; `make chaos` runs each of them many times and
writes the figures into docs/explanation/reliability.md.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections import Counter

import msgspec
import pytest

from supervisor import Backoff, ChildExited, ChildSpec, DeadLetter, Intensity, Supervisor
from tests.support.doomed import FATE, Begin, Doomed, Life, Meet, Note, SequenceNumbers, Sibling
from tests.support.figures import FAULTS
from tests.support.killing import collect
from tests.support.load import Sender, Ticker
from tests.support.waiting import until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.chaos,
    pytest.mark.timeout(900 if os.environ.get("ACTORS_LONG") == "1" else 120),
    pytest.mark.skipif(sys.platform != "linux", reason="the signals of Linux"),
]

LONG = os.environ.get("ACTORS_LONG") == "1"
ROUNDS = int(os.environ.get("ACTORS_ROUNDS") or (10 if LONG else 1))  # of each fault
LONGEST_STALL = 5.0  # seconds; on a machine whose cores do something else, too, others may have the most of it
COMPUTED = 0.5  # seconds of the loop's own work in one stall
LONGEST_RECOVERY = 20.0  # seconds, from the fault to the next life's first answer
HANDLER_TIMEOUT = 0.5  # seconds
SIBLINGS = ("left", "right")


class Fault(msgspec.Struct, frozen=True):
    """One fault.

    Attributes:
        name: what happens.
        cause: what the first line of the report says, as a pattern.
        phase: the phase of its life in which it happens; None while it handles a message.
        hangs: whether only a limit on the handler ends it.
    """

    name: str
    cause: str
    phase: str | None = None
    hangs: bool = False


TABLE = (
    Fault("SIGKILL", "SIGKILL from outside"),
    Fault("SIGSTOP", "hung: .*stopped", hangs=True),
    Fault("SIGSEGV", "SIGSEGV, segmentation fault in string_at"),
    Fault("SIGABRT", "SIGABRT, it aborted itself"),
    Fault("os._exit", "exit code 3: it left in the middle of a message, by os._exit"),
    Fault("sys.exit", r"exit code 3: sys\.exit\(3\) in Doomed\.meet"),
    Fault("C loop", "hung: ", hangs=True),
    Fault("RLIMIT_AS", r"MemoryError \(in Doomed\.meet\)"),
    Fault("stack overflow", "SIGSEGV, segmentation fault in overflow_the_stack"),
    Fault("exception", r"KeyError: 'cherry' \(in Doomed\.meet\)"),
    Fault("exception in __init__", r"ArithmeticError: doomed in __init__ \(in Doomed\.__init__\)", "__init__"),
    Fault("exception in on_start", r"ArithmeticError: doomed in on_start \(in Doomed\.on_start\)", "on_start"),
    Fault("exception in on_stop", r"ArithmeticError: doomed in on_stop \(in Doomed\.on_stop\)", "on_stop"),
    Fault(
        "exception at import",
        r"ArithmeticError: doomed in import \(importing tests\.support\.doomed:Doomed\)",
        "import",
    ),
    Fault("fork", "SIGKILL from outside"),
    Fault("closed descriptors", "it closed its channel and lived on"),
    Fault("garbage", "it broke the protocol: a value in shared memory is announced by a length that it never has"),
    Fault("2 GiB announced", "it broke the protocol: a frame announces 2147483647 bytes"),
    Fault("half a frame, death", "SIGKILL from outside"),
    Fault("half a frame, silence", "hung: ", hangs=True),
    Fault("full disk", "No space left on device"),
)


@pytest.mark.parametrize("fault", TABLE, ids=lambda fault: fault.name)
async def test_fault(fault: Fault, tmp_path, monkeypatch):
    """The loop runs on, the siblings see every message once and in order, the report names the cause, it recovers."""
    book = tmp_path / "book"
    monkeypatch.setenv(FATE, str(tmp_path / "fate"))
    letters: list[DeadLetter] = []
    causes: list[str] = []
    recoveries: list[float] = []
    options = {"backoff": Backoff(initial=0.0, cap=0.0), "handler_timeout": HANDLER_TIMEOUT if fault.hangs else None}
    doomed = ChildSpec(Doomed, args=(str(book),), name="doomed", **options)
    siblings = [ChildSpec(Sibling, name=name) for name in SIBLINGS]
    spares = 0 if fault.phase == "import" else 1  # a spare would meet that end, which no actor shows
    async with Supervisor(doomed, *siblings, intensity=Intensity.unlimited(), start="parallel", spares=spares) as root:
        burying = asyncio.create_task(collect(root, letters))
        listening = asyncio.create_task(listen(root, causes))
        senders = {name: Sender(root, name) for name in ("doomed", *SIBLINGS)}
        ticker = Ticker()
        for number in range(ROUNDS):
            recoveries.append(await meet(root, fault, causes, number + 1))
        stall, computed = ticker.end(), ticker.computed
        for sender in senders.values():
            await sender.end()
        await until(lambda: not any(child.mailbox for child in root.snapshot().children), "quiet")
        assert [1, 1] == [await root[name].ask(Life()) for name in SIBLINGS], "a sibling died"
        seen = {name: await root[name].ask(SequenceNumbers(), timeout=20.0) for name in SIBLINGS}
    await asyncio.gather(burying, listening)
    for name in SIBLINGS:
        assert list(range(1, senders[name].sent + 1)) == seen[name]
        assert not senders[name].wrong
    lost, doubled = judge(senders["doomed"], book, letters)
    assert stall < LONGEST_STALL
    assert computed < COMPUTED
    assert max(recoveries) < LONGEST_RECOVERY
    sent = sum(sender.sent for sender in senders.values())
    FAULTS.append((fault.name, ROUNDS, sent, lost, doubled, stall, computed, max(recoveries), example(fault, causes)))
    assert (0, 0) == (lost, doubled)


async def meet(root: Supervisor, fault: Fault, causes: list[str], times: int) -> float:
    """Let it meet the fault; how many seconds passed until a new life answered."""
    doomed = root["doomed"]
    life = await doomed.ask(Life(), timeout=20.0)
    began = time.monotonic()
    await doomed.tell(Meet(fault.name) if fault.phase is None else Begin(fault.phase))
    await until(lambda: len(matching(fault, causes)) >= times, f"the report of {fault.name}; there are {causes[-3:]}")
    assert await doomed.ask(Life(), timeout=20.0) > life
    return time.monotonic() - began


def matching(fault: Fault, causes: list[str]) -> list[str]:
    return [cause for cause in causes if re.search(fault.cause, cause)]


def example(fault: Fault, causes: list[str]) -> str:
    """The first line of one report, without what no two of them share."""
    return matching(fault, causes)[0].partition(" ended: ")[2]


async def listen(root: Supervisor, causes: list[str]) -> None:
    async for happening in root.events():
        if isinstance(happening, ChildExited):
            causes.append(str(happening.report).splitlines()[0])


def judge(sender: Sender, book, letters: list[DeadLetter]) -> tuple[int, int]:
    """How many of the notes for the doomed one were neither handled nor reported; and how many were handled twice."""
    handled = Counter(map(int, book.read_text().split()))
    reported = {letter.message.number for letter in letters if isinstance(letter.message, Note)}
    lost = [number for number in range(1, sender.sent + 1) if number not in handled and number not in reported]
    assert not sender.wrong
    return len(lost), sum(times > 1 for times in handled.values())
