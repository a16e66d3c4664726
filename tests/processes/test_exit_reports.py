"""Every way to die has a report that names the cause on its first line; docs/reference/exit-reports.md shows them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys

import msgspec
import pytest

from actors import ActorCrashed, ExitKind, HandlerError
from supervisor import BRUTAL_KILL, Backoff, ChildSpec, DeadReason, Intensity, StartFailed, Supervisor, SupervisorSpec
from supervisor.process import life as hands
from supervisor.system import post_mortem
from tests.support.exit_reports import in_the_book, lasting
from tests.support.perils import (
    AsyncVictim,
    Blabbers,
    Depart,
    DiesInInit,
    DiesInStart,
    DiesInStop,
    HangsInStart,
    HangsInStop,
    Interrupts,
    Perish,
    PerishAgain,
    Pid,
    Sleep,
    Victim,
)
from tests.support.waiting import Watch, dead_letter, until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="the words of Linux"),
]

SOON = Backoff(initial=0.01, cap=0.01, jitter=0.0)


def child(actor, *args, **options):
    return ChildSpec(actor, args=args, **{"name": "a", "backoff": SOON, **options})


def tree(*children, **options):
    return Supervisor(*children, **{"intensity": Intensity(100, 5.0), "spares": 0, **options})


def check(report, title):
    """The report is as documented, a value, one log line's worth of fields, and its first line is the cause."""
    assert lasting(in_the_book(title)) == lasting(str(report))
    first, *rest = str(report).splitlines()
    assert first == f"{report.actor} (life {report.life}, pid {report.pid}) ended: {report.reason}"
    assert rest
    assert report == msgspec.json.decode(msgspec.json.encode(report), type=type(report))


# ---- at work

ANSWERED = {
    "An exception in a handler": ("raise", "KeyError: 'cherry'", 'lambda: {}["cherry"]'),
    "An exception with a long story": ("raise two lines", "ValueError: first ...", "ValueError: first\nsecond\n"),
    "Something raised that is no Exception": (
        "raise Wrong",
        "tests.support.perils.Wrong: no Exception",
        "in raise_wrong",
    ),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt", "in raise_interrupt"),
    "Recursion without an end": ("recursion", "RecursionError: maximum recursion depth exceeded", "more times]"),
    "Memory used up, under RLIMIT_AS": ("MemoryError", "MemoryError", "in hoard"),
    "Memory used up to the last crumb": ("MemoryError, crumbs", "MemoryError", "MemoryError\n"),
}


@pytest.mark.parametrize("title", ANSWERED)
async def test_an_exception_is_told_to_the_asker_and_to_the_log(title, logs):
    """HandlerError for the asker, the same words and a traceback in the report."""
    how, said, traced = ANSWERED[title]
    async with tree(child(Victim)) as root:
        watch = Watch(root)
        with pytest.raises(HandlerError) as caught:
            await root["a"].ask(Perish(how), timeout=None)
        report = await watch.exited("a")
        assert said.split(":")[0] == caught.value.type_name
        assert (ExitKind.CRASHED, f"{said} (in Victim.perish)") == (report.reason.kind, report.reason.detail)
        assert traced in report.traceback
        assert (1, None, "Perish", False, True) == (
            report.exit_code,
            report.signal,
            report.last_message,
            report.last_message_begun,
            report.last_message_failed,
        )
        assert (None, None) == (report.native_stack, report.out_of_memory)
        assert 0 < report.cpu_time < 60
        assert 2**20 < report.peak_memory < 2**31
        line = next(line for line in logs if line["event"] == "child.exited")
        assert (report.reason.detail, report.traceback, report.peak_memory) == (
            line["error"],
            line["traceback"],
            line["peak_memory"],
        )
        check(report, title)


UNANSWERED = {
    "A segmentation fault": (
        "segfault",
        ExitKind.KILLED,
        "SIGSEGV, segmentation fault in string_at (ctypes/__init__.py:",
    ),
    "A stack overflow in C": (
        "stack overflow",
        ExitKind.KILLED,
        "SIGSEGV, segmentation fault in overflow_the_stack (sup",
    ),
    "abort() in C": ("abort", ExitKind.KILLED, "SIGABRT, it aborted itself in perish (support/perils.py:"),
    "SIGUSR1": ("SIGUSR1", ExitKind.KILLED, "SIGUSR1 from outside, or its own"),
    "Too much CPU time, under RLIMIT_CPU": ("CPU time", ExitKind.KILLED, "SIGXCPU, its limit of CPU time (RLIMIT_CPU)"),
    "os._exit(0)": ("os._exit(0)", ExitKind.NORMAL, "exit code 0: it left in the middle of a message"),
    "os._exit(4)": ("os._exit(4)", ExitKind.CRASHED, "exit code 4: it left in the middle of a message"),
    "sys.exit(0)": ("sys.exit(0)", ExitKind.NORMAL, "exit code 0: sys.exit(0) in Victim.perish"),
    "sys.exit(3)": ("sys.exit(3)", ExitKind.CRASHED, "exit code 3: sys.exit(3) in Victim.perish"),
    "sys.exit with a text": ("sys.exit('bye')", ExitKind.CRASHED, "exit code 1: sys.exit(out of cherries) in Victim."),
    "sys.exit(137)": ("sys.exit(137)", ExitKind.CRASHED, "exit code 137 (128 + SIGKILL, as a shell reports it): sys."),
    "sys.exit(-9)": ("sys.exit(-9)", ExitKind.CRASHED, "exit code 247 (-9, which is Python's word for SIGKILL): sys."),
}


@pytest.mark.parametrize("title", UNANSWERED)
async def test_an_exit_or_a_fault_in_the_middle_of_a_message(title):
    """The asker hears that it had begun and why it will not end; the message is a dead letter; the next life works."""
    how, kind, detail = UNANSWERED[title]
    async with tree(child(Victim)) as root:
        watch, letters = Watch(root), root.dead_letters()
        with pytest.raises(ActorCrashed) as caught:
            await root["a"].ask(Perish(how), timeout=None)
        report = await watch.exited("a")
        assert (True, False, report) == (caught.value.started, caught.value.finished, caught.value.report)
        assert kind is report.reason.kind
        assert report.reason.detail.startswith(detail)
        assert report.reason.detail in str(caught.value)
        assert ("Perish", True, 1) == (report.last_message, report.last_message_begun, report.deliveries)
        assert ("sys.exit" in title) is (report.traceback is not None)
        assert (detail[:7] in ("SIGSEGV", "SIGABRT")) is (report.native_stack is not None)
        assert (kind is ExitKind.KILLED) is (report.signal is not None)
        assert 0 < report.cpu_time < 60
        letter = await dead_letter(letters)
        assert (Perish(how), DeadReason.CRASHED) == (letter.message, letter.reason)
        assert isinstance(await root["a"].ask(Pid()), int)
        check(report, title)


async def test_a_message_that_kills_again():
    """How often it had been begun is told, and its last delivery makes it poison."""
    async with tree(child(Victim, max_deliveries=2)) as root:
        watch, letters = Watch(root), root.dead_letters()
        with pytest.raises(ActorCrashed):
            await root["a"].ask(PerishAgain("segfault"), timeout=None)
        first, second = await watch.exited("a"), await watch.exited("a")
        assert [1, 2] == [first.deliveries, second.deliveries]
        assert DeadReason.POISON is (await dead_letter(letters)).reason
        check(second, "A message that kills every life that begins it")


async def test_a_thread_that_keeps_a_failed_actor_from_leaving(monkeypatch):
    """It is not waited for longer than it takes to say goodbye, and the report tells of the exception."""
    monkeypatch.setattr(hands, "GOODBYE", 0.2)
    async with tree(child(Victim)) as root:
        watch = Watch(root)
        with pytest.raises(HandlerError):
            await root["a"].ask(Perish("leave a thread"), timeout=None)
        report = await watch.exited("a")
        assert (ExitKind.CRASHED, "SIGKILL") == (report.reason.kind, report.signal)
        assert "ValueError: a thread stays (in Victim.perish)" == report.reason.detail
        check(report, "An actor that failed and did not leave")


async def test_a_thread_that_keeps_an_actor_from_leaving(monkeypatch):
    """An actor that stopped itself is not in the way of its next life, and its end is a normal one."""
    monkeypatch.setattr(hands, "GOODBYE", 0.2)
    async with tree(child(Victim)) as root:
        watch = Watch(root)
        first = await root["a"].ask(Pid())
        await root["a"].ask(Depart(), timeout=None)
        assert first != await root["a"].ask(Pid(), timeout=None)
        report = await watch.exited("a")
        assert (ExitKind.NORMAL, "SIGKILL", "restart") == (report.reason.kind, report.signal, report.decision)
        check(report, "An actor that stopped itself and did not leave")


# ---- killed


async def begin_to_sleep(root):
    """The pid of the actor, and an ask that its handler has begun and will not answer."""
    pid = await root["a"].ask(Pid())
    asking = asyncio.create_task(root["a"].ask(Sleep(), timeout=None))
    await until(lambda: root.snapshot().children[0].handling == "Sleep", "the handler")
    return pid, asking


async def test_killed_by_someone_else():
    """Not by its supervisor, and not for lack of memory."""
    async with tree(child(Victim)) as root:
        watch = Watch(root)
        pid, asking = await begin_to_sleep(root)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ActorCrashed):
            await asking
        report = await watch.exited("a")
        assert ("SIGKILL", False, "Sleep", 1) == (
            report.signal,
            report.out_of_memory,
            report.last_message,
            report.deliveries,
        )
        check(report, "kill -9 from outside")


async def test_killed_by_its_supervisor_after_its_grace():
    """The seconds it was given are told, and the memory it had."""
    async with tree(child(HangsInStop, shutdown=0.2)) as root:
        watch = Watch(root)
        await root.terminate_child("a")
        report = await watch.exited("a")
        late = re.fullmatch(r"SIGKILL from its supervisor: it was still there (.+) s after .*", report.reason.detail)
        assert 0.2 <= float(late[1]) < 20
        assert (None, "expected") == (report.out_of_memory, report.decision)
        assert report.peak_memory > 2**20
        check(report, "Killed by its supervisor, after its grace")


async def test_killed_by_its_supervisor_at_once():
    """BRUTAL_KILL does not ask."""
    async with tree(child(Victim, shutdown=BRUTAL_KILL)) as root:
        watch = Watch(root)
        await root.terminate_child("a")
        check(await watch.exited("a"), "Killed by its supervisor, at once")


# ---- hung

HUNG = {
    "A handler over its limit": ("sleep", "hung: Victim.perish over its limit of 0.3 s (handler_timeout); killed by"),
    "A loop in C that holds the interpreter": ("hold the lock", "hung: interpreter blocked in Victim.perish, over its"),
    "A stopped process": ("SIGSTOP", "hung: process stopped (SIGSTOP) in Victim.perish, over its limit"),
}


@pytest.mark.parametrize("title", HUNG)
async def test_a_hang(title):
    """What kind of hang, in which handler, and where, if its stacks could be had."""
    how, detail = HUNG[title]
    async with tree(child(Victim, handler_timeout=0.3)) as root:
        watch = Watch(root)
        with pytest.raises(ActorCrashed):
            await root["a"].ask(Perish(how), timeout=None)
        report = await watch.exited("a")
        assert report.reason.detail.startswith(detail)
        assert (how == "SIGSTOP") is (report.stacks is None)
        assert ("SIGKILL", None, 1) == (report.signal, report.out_of_memory, report.deliveries)
        assert report.peak_memory > 2**20
        check(report, title)


# ---- not even at work

AT_START = {
    "An exception in __init__": (DiesInInit, "raise", "KeyError: 'cherry' (in DiesInInit.__init__)"),
    "An exception in on_start": (DiesInStart, "raise", "KeyError: 'cherry' (in DiesInStart.on_start)"),
    "sys.exit in __init__": (DiesInInit, "sys.exit(3)", "exit code 3: sys.exit(3) in DiesInInit.__init__"),
    "sys.exit in on_start": (DiesInStart, "sys.exit(0)", "exit code 0: sys.exit(0) in DiesInStart.on_start"),
    "A segmentation fault in on_start": (DiesInStart, "segfault", "SIGSEGV, segmentation fault in string_at (ctypes/"),
    "Memory used up in __init__": (DiesInInit, "MemoryError, crumbs", "MemoryError (in DiesInInit.__init__)"),
}


async def failed_start(spec):
    async with tree() as root:
        with pytest.raises(StartFailed) as caught:
            await root.start_child(spec)
        assert caught.value.report.reason.detail in str(caught.value)
        return caught.value.report


@pytest.mark.parametrize("title", AT_START)
async def test_a_start_that_fails(title):
    """The caller of the start gets the report."""
    actor, how, detail = AT_START[title]
    report = await failed_start(child(actor, how))
    assert ExitKind.UNSTARTED is report.reason.kind
    assert report.reason.detail.startswith(detail)
    check(report, title)


@pytest.mark.parametrize(
    ("title", "how", "detail"),
    [
        ("An exception at import", "raise", "KeyError: 'cherry' (importing tests.support.perils:Victim)"),
        ("sys.exit at import", "sys.exit(3)", "exit code 3: sys.exit(3) importing tests.support.perils:Victim"),
        ("A segmentation fault at import", "segfault", "SIGSEGV, segmentation fault in string_at (ctypes/__init__.py:"),
    ],
    ids=["raise", "sys.exit", "segfault"],
)
async def test_an_import_that_fails(title, how, detail, monkeypatch):
    """The module dies in the child alone."""
    monkeypatch.setenv("PERISH_AT_IMPORT", how)
    report = await failed_start(child(Victim))
    assert ExitKind.UNSTARTED is report.reason.kind
    assert report.reason.detail.startswith(detail)
    check(report, title)


async def test_a_start_that_takes_too_long():
    """The limit is told, and where it hangs."""
    report = await failed_start(child(HangsInStart, start_timeout=5.0))
    assert ExitKind.UNSTARTED is report.reason.kind
    assert report.reason.detail.startswith("not ready within 5 s, in on_start (support/perils.py:")
    assert " in on_start" in report.stacks
    check(report, "Not ready in time")


# ---- on its way out

AT_STOP = {
    "An exception in on_stop": ("raise", ExitKind.CRASHED, "KeyError: 'cherry' (in DiesInStop.on_stop)"),
    "sys.exit in on_stop": ("sys.exit(3)", ExitKind.CRASHED, "exit code 3: sys.exit(3) in DiesInStop.on_stop"),
    "os._exit in on_stop": ("os._exit(4)", ExitKind.CRASHED, "exit code 4: it left by os._exit or from C code"),
    "A graceful stop": ("nothing", ExitKind.SHUTDOWN, "asked by the supervisor"),
}


@pytest.mark.parametrize("title", AT_STOP)
async def test_a_stop_that_fails(title):
    """It was asked to stop, so nothing follows, but the report tells how it went."""
    how, kind, detail = AT_STOP[title]
    async with tree(child(DiesInStop, how)) as root:
        watch = Watch(root)
        await root.terminate_child("a")
        report = await watch.exited("a")
        assert (kind, detail, "expected") == (report.reason.kind, report.reason.detail, report.decision)
        check(report, title)


# ---- other ends


async def test_a_life_that_breaks_the_protocol():
    """Why its supervisor ended it."""
    async with tree(child(Blabbers)) as root:
        watch = Watch(root)
        with pytest.raises(ActorCrashed):
            await root["a"].ask(Perish(""), timeout=None)
        check(await watch.exited("a"), "Bytes that are not of the protocol")


async def test_an_exit_code_that_someone_else_took(monkeypatch):
    """Where the kernel does not know the exit code any more, what else is known is told: here, the fault."""
    monkeypatch.setattr(post_mortem, "_told", lambda pidfd: None)
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        async with tree(child(Victim)) as root:
            watch = Watch(root)
            root["a"].tell_nowait(Perish("segfault"))
            report = await watch.exited("a")
            assert (ExitKind.LOST, None, None, None) == (
                report.reason.kind,
                report.exit_code,
                report.signal,
                report.cpu_time,
            )
            assert "in segfault" in report.native_stack
            check(report, "An exit code that someone else took")
    finally:
        signal.signal(signal.SIGCHLD, before)


async def test_a_supervisor_that_gives_up():
    """The headline of the last death below it stands in its own."""
    below = SupervisorSpec(child(Victim), name="shop", intensity=Intensity(0, 5.0))
    async with Supervisor(below) as root:
        watch = Watch(root)
        root["shop/a"].tell_nowait(Perish("segfault"))
        inner, report = await watch.exited("a"), await watch.exited("shop")
        assert str(report).splitlines()[0].endswith(f"; the last: {str(inner).splitlines()[0]}")
        assert (inner.native_stack, inner.last_message, inner.deliveries) == (
            report.native_stack,
            report.last_message,
            report.deliveries,
        )
        assert lasting(in_the_book("A supervisor that gave up")) == lasting(str(report))
        await root["shop/a"].ask(Pid())
        await root.terminate_child("shop")
        stopped = await watch.exited("shop")
        assert (None, None) == (stopped.cause, stopped.native_stack), "an old death explains no stop"


@pytest.mark.parametrize("actor", [Victim, AsyncVictim])
async def test_an_interrupt_in_the_code_of_a_message(actor):
    """The one exception that ends the life while it decodes: the report says that it did."""
    async with tree(child(actor)) as root:
        watch = Watch(root)
        with pytest.raises(ActorCrashed):
            await root["a"].ask(Interrupts(os.getpid()), timeout=None)
        report = await watch.exited("a")
        assert "KeyboardInterrupt: enough (decoding a message)" == report.reason.detail


# ---- on an event loop


@pytest.mark.parametrize(
    ("how", "error", "detail"),
    [
        ("raise", HandlerError, "KeyError: 'cherry' (in AsyncVictim.perish)"),
        ("raise Wrong", HandlerError, "tests.support.perils.Wrong: no Exception (in AsyncVictim.perish)"),
        ("raise KeyboardInterrupt", HandlerError, "KeyboardInterrupt (in AsyncVictim.perish)"),
        ("raise GeneratorExit", HandlerError, "GeneratorExit: not closed (in AsyncVictim.perish)"),
        (
            "raise CancelledError",
            HandlerError,
            "asyncio.exceptions.CancelledError: by nobody (in AsyncVictim.perish)",
        ),
        ("sys.exit(3)", ActorCrashed, "exit code 3: sys.exit(3) in AsyncVictim.perish"),
        ("in a task", ActorCrashed, "exit code 3: sys.exit(3) outside of its handlers"),
        ("os._exit(4)", ActorCrashed, "exit code 4: it left in the middle of a message, by os._exit or from C code"),
    ],
)
async def test_an_end_among_async_handlers(how, error, detail):
    """Its asker hears of what ended the life, the others that it crashed; what waits is for the next life."""
    async with tree(child(AsyncVictim)) as root:
        watch = Watch(root)
        first = await root["a"].ask(Pid())
        others = [asyncio.create_task(root["a"].ask(Sleep(), timeout=None)) for _ in range(3)]
        await until(lambda: root.snapshot().children[0].handling == "Sleep", "the handler")
        guilty = asyncio.create_task(root["a"].ask(Perish(how), timeout=None))
        waiting = [asyncio.create_task(root["a"].ask(Pid(), timeout=None)) for _ in range(20)]
        with pytest.raises(error):
            await guilty
        for other in others:
            with pytest.raises(ActorCrashed) as caught:
                await other
            assert (True, False) == (caught.value.started, caught.value.finished)
        report = await watch.exited("a")
        assert detail == report.reason.detail
        pids = {await each for each in waiting}
        assert 1 == len(pids)
        assert first not in pids
