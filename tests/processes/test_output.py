"""Everything a real actor writes arrives in the daemon's log, and delays nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

import pytest

from actors import ActorCrashed, ExitKind, HandlerError
from supervisor import ChildSpec, RestartPolicy, Supervisor
from supervisor.io.output_buffer import MAX_LINES
from tests.support.actors import Echo, Puppet
from tests.support.printing import (
    Abort,
    Chatty,
    Everything,
    Fatal,
    Fork,
    Full,
    Leave,
    LeaveUnwritten,
    Long,
    Print,
    WriteBytes,
)
from tests.support.taking_time import work
from tests.support.waiting import DEADLINE, Script, Watch, until

STANDSTILL = 1.0  # seconds for which the loop or the daemon does nothing: the load

pytestmark = pytest.mark.processes


@pytest.fixture(params=["thread", "loop"])
def reading(request):
    return request.param


def lines(logs, actor, *fields):
    """What was logged of an actor's own words."""
    said = []
    for line in logs:
        own = line.get("actor") == f"/root/{actor}" and line["event"].partition(".")[0] != "child"
        if own and line["event"] not in ("output.dropped", "message.dead_lettered"):
            text = line["text"] if line["event"] == "actor.printed" else line["event"]
            said.append((text, *(line.get(field) for field in fields)))
    return said


def dropped(logs):
    return sum(line["lines"] for line in logs if line["event"] == "output.dropped")


class Stalls:
    """The longest time of its processor for which the loop did nothing else; others on the machine take none of it."""

    def __init__(self):
        self.longest = 0.0

    async def __aenter__(self):
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *exc):
        self._task.cancel()

    async def _tick(self):
        while True:
            last = time.thread_time()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.thread_time() - last)


async def test_everything_in_order(reading, logs):
    """Prints, loggers, C libraries and child processes, from two actors at once: each line once, in order, with who."""
    ways = ["info", "info", "warning", "info", "info", "error", "debug", "info", "info"]
    async with Supervisor(ChildSpec(Chatty, name="a"), ChildSpec(Chatty, name="b"), reading=reading, spares=0) as root:
        await asyncio.gather(root["a"].ask(Everything(10)), root["b"].ask(Everything(10)))
    for actor in "ab":
        found = lines(logs, actor, "log_level", "life")
        assert [(str(number), ways[number % 9], 1) for number in range(90)] == found
    by_text = {line["event"]: line for line in logs if line.get("actor") == "/root/a"}
    assert "shop.cart" == by_text["4"]["logger"]
    assert "here" == by_text["5"]["place"]
    streams = lines(logs, "a", "stream")[:9]
    assert ["stdout", None, "stderr", None, None, None, None, None, None] == [stream for _, stream in streams]


async def test_a_flood(reading, logs):
    """A hundred thousand lines: the actor is done soon, the loop is there for others, all are counted."""
    async with Supervisor(ChildSpec(Chatty, name="a"), ChildSpec(Puppet, name="b"), reading=reading, spares=0) as root:
        async with Stalls() as stalls:
            flood = asyncio.create_task(root["a"].ask(Print(100_000), timeout=60))
            while not flood.done():
                assert "x" == await root["b"].ask(Echo("x"))
            assert await flood < DEADLINE
    assert stalls.longest < 0.5
    assert 100_000 == len(lines(logs, "a")) + dropped(logs)
    assert MAX_LINES / 2 < len(lines(logs, "a")) < 100_000
    assert [("0", 1)] == [(text.partition(" ")[0], life) for text, life in lines(logs, "a", "life")[:1]]


async def test_a_blocked_loop_stalls_no_actor(reading, logs):
    """While the daemon's loop hangs for a second, ten MiB leave the actor, through Python and past it."""
    async with Supervisor(ChildSpec(Chatty, name="a"), reading=reading, spares=0) as root:
        for message in (Print(100_000, 100), WriteBytes(10 * 1024 * 1024)):
            flood = asyncio.create_task(root["a"].ask(message, timeout=60))
            await asyncio.sleep(0.01)
            work(STANDSTILL)
            assert await flood < DEADLINE
    assert 100_000 + 10 * 1024 * 1024 // 1000 * 10 == len(lines(logs, "a")) + dropped(logs)


async def test_a_daemon_that_stands_still(tmp_path):
    """A stopped daemon takes nothing at all; what Python says does not wait for it."""
    code = """
    import asyncio, os, signal, sys
    from supervisor import ChildSpec, Supervisor
    from tests.support.printing import Chatty, Print

    async def main():
        async with Supervisor(ChildSpec(Chatty, name="a"), spares=0) as root:
            asking = asyncio.ensure_future(root["a"].ask(Print(50_000), timeout=60))
            await asyncio.sleep(0)
            print("stopped", flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)
            print("took", await asking, flush=True)

    if __name__ == "__main__":
        asyncio.run(main())
    """
    with Script(tmp_path, code) as daemon:
        await asyncio.to_thread(daemon.line, "stopped")
        await asyncio.to_thread(os.waitid, os.P_PID, daemon.process.pid, os.WSTOPPED)
        await asyncio.sleep(STANDSTILL)
        os.kill(daemon.process.pid, signal.SIGCONT)
        await asyncio.to_thread(daemon.line, "took")


async def test_last_words_of_a_library(reading, logs):
    """What a C library says before it aborts is in the report, in the log before it, and of that actor only."""
    async with Supervisor(ChildSpec(Chatty, name="a"), ChildSpec(Chatty, name="b"), reading=reading, spares=0) as root:
        watch = Watch(root)
        await root["b"].ask(Everything(1))
        with pytest.raises(ActorCrashed) as caught:
            await root["a"].ask(Abort())
        report = await watch.exited("a")
    assert ("lib: the heap is corrupt", "lib: cannot go on") == report.stderr == caught.value.report.stderr
    assert str(report).endswith("\n  it wrote last:\n  > lib: the heap is corrupt\n  > lib: cannot go on")
    events = [(line["event"], line.get("text")) for line in logs if line.get("actor") == "/root/a"]
    assert events.index(("actor.printed", "lib: cannot go on")) < events.index(("child.exited", None))
    (exited,) = [line for line in logs if line["event"] == "child.exited" and line.get("life") == 1 and "error" in line]
    assert "lib: the heap is corrupt\nlib: cannot go on" == exited["stderr"]


async def test_last_words_of_the_interpreter():
    """The same when Python itself cannot go on."""
    async with Supervisor(ChildSpec(Chatty, name="a"), spares=0) as root:
        with pytest.raises(ActorCrashed) as caught:
            await root["a"].ask(Fatal())
    assert "Fatal Python error: the interpreter is not well" in "\n".join(caught.value.report.stderr)


async def test_half_a_line_at_the_end(logs):
    """An actor that leaves in good order loses nothing."""
    async with Supervisor(ChildSpec(Chatty, name="a"), spares=0) as root:
        watch = Watch(root)
        await root["a"].ask(Leave())
        report = await watch.exited("a")
    assert [("half a line", 1)] == lines(logs, "a", "life")
    assert () == report.stderr


async def test_a_long_line(logs):
    """It comes in pieces, none of it is lost."""
    async with Supervisor(ChildSpec(Chatty, name="a"), spares=0) as root:
        await root["a"].ask(Long(100_000))
    assert "z" * 100_000 == "".join(text for (text,) in lines(logs, "a"))


async def test_a_full_disk(logs):
    """An actor whose own output cannot be written has an error; it is heard all the same, and others do not notice."""
    async with Supervisor(ChildSpec(Chatty, name="a"), ChildSpec(Puppet, name="b"), spares=0) as root:
        with pytest.raises(HandlerError, match="No space left on device"):
            await root["a"].ask(Full())
        assert "x" == await root["b"].ask(Echo("x"))
        assert 0.0 <= await root["a"].ask(Print(1))
    assert "is heard all the same" in {text for (text,) in lines(logs, "a")}


async def test_leaving_with_a_full_disk():
    """What cannot be written at the end is given up; the life ends as it should."""
    async with Supervisor(ChildSpec(Chatty, name="a", restart=RestartPolicy.TEMPORARY), spares=0) as root:
        watch = Watch(root)
        await root["a"].ask(LeaveUnwritten())
        report = await watch.exited("a")
    assert (ExitKind.NORMAL, 0, ()) == (report.reason.kind, report.exit_code, report.stderr)


async def test_a_grandchild_that_keeps_the_pipe(reading, logs):
    """It is heard while its parent lives, and the parent's end does not wait for it."""
    async with Supervisor(ChildSpec(Chatty, name="a"), reading=reading, spares=0) as root:
        watch = Watch(root)
        grandchild = await root["a"].ask(Fork())
        try:
            await until(lambda: 2 <= len(lines(logs, "a")))
            await root.terminate_child("a")
            await watch.exited("a")
        finally:
            with contextlib.suppress(ProcessLookupError):  # it ends with its parent
                os.kill(grandchild, signal.SIGKILL)
    assert {("before",), ("from the grandchild",)} == set(lines(logs, "a"))


async def test_inherit(tmp_path):
    """Then the actor's output goes where the daemon's does, and only its own log is relayed."""
    code = """
    import asyncio, os, structlog
    from supervisor import ChildSpec, Supervisor
    from tests.support.printing import Chatty, Where

    async def main():
        with structlog.testing.capture_logs() as logs:
            async with Supervisor(ChildSpec(Chatty, name="a", output="inherit"), spares=0) as root:
                same = await root["a"].ask(Where()) == [os.readlink(f"/proc/self/fd/{fd}") for fd in (1, 2)]
        print("same", same, [line["event"] for line in logs if line["event"] in ("actor.printed", "log.kept")])

    if __name__ == "__main__":
        asyncio.run(main())
    """
    with Script(tmp_path, code) as daemon:
        code, out, err = daemon.end()
    assert (0, "to the daemon's own output\nsame True ['log.kept']\n", "") == (code, out, err)
