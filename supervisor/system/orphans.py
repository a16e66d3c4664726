"""OrphanReaper: the daemon's side of the process that ends what actors leave behind (`reaper/`).

Lines are sent in the order of events; only the end of the tree waits for an answer. A reaper that dies or does not
answer is replaced, and the new one gets the whole state. While there is none, the daemon does its work. No failure of
a reaper is raised here.

One per tree. Its methods say in which thread they run: the loop's, or the one that spawns.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Final

from supervisor.core.health.patience import AGAIN, Patience
from supervisor.ports.reading import AnyReader
from supervisor.system.reaper import orphan_reaper
from supervisor.system.reaper.process import ReaperProcess, command

LAST_LOOK: Final = orphan_reaper.PATIENCE + 1.0  # seconds the reaper may take to exit
ANSWER: Final = 2.0  # seconds it may take to answer
LOOK: Final = 0.5  # seconds it may take to read, while it looks at processes
BREATH: Final = 1.0  # seconds from the start of a reaper to that of the next, doubled with each that is lost early
LONGEST_BREATH: Final = 60.0
STEADY: Final = 10.0  # seconds after which a loss is not early

OnLost = Callable[[str], None]


class OrphanReaper:
    """The daemon's side of one tree's orphan reaper.

    Made on the loop's thread; starts nothing before the first life.

    Args:
        loop: of the tree.
        reader: waits for what the reaper sends, and for its end.
        do: runs a job in the thread that spawns, after those given before.
        on_lost: called on the loop with the reason why there is no reaper; once for repeated losses with one reason.

    Attributes:
        held: descriptors that each reaper keeps open until nothing is left of any life, and each life until it ends;
            set before the first.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reader: AnyReader,
        do: Callable[[Callable[[], None]], None],
        on_lost: OnLost,
    ) -> None:
        self.held: tuple[int, ...] = ()
        self._tree = os.urandom(8).hex()
        self._numbers = count(1)
        self._last = 0
        self._living: dict[int, int] = {}
        self._process: ReaperProcess | None = None
        self._started_at = 0.0
        self._not_before = 0.0
        self._lost_early = 0  # losses in a row
        self._told_lost = ""
        self._closing = False
        self._unheard = b""
        self._words = ""  # what it wrote that is not an answer: why it could not run
        self._unanswered: dict[int, asyncio.TimerHandle] = {}
        self._taken_in = False  # whether it has answered that all lives have ended
        self._loop = loop
        self._reader = reader
        self._do = do
        self._on_lost = on_lost

    # ---- in the thread that spawns

    def mark(self) -> str:
        """The mark for the process that is started next."""
        self._last = next(self._numbers)
        return f"{self._tree}:{self._last}"

    def begun(self, pid: int) -> int:
        """The process with the last mark was started; returns the number of its life."""
        number = self._last
        self._living[number] = pid
        self._tell(f"+{number} {pid}\n")
        return number

    def end(self) -> None:
        """All lives have ended: end what is left of them. Waits for that, within a limit."""
        self._living.clear()
        process = self._process
        if process is not None:
            _say(process, ".\n")
            gone = process.gone_within(ANSWER) or (self._taken_in and process.gone_within(LAST_LOOK - ANSWER))
            if not gone:
                process.kill()
            if process.wait() in {0, None} and gone:
                return
        if self._last:
            self._look(b".\n", time.monotonic() + orphan_reaper.PATIENCE)

    def abandon(self) -> None:
        """The same when the loop was closed before the tree."""
        self.end()
        if self._process is not None:
            self._process.sock.close()

    def _over(self, number: int) -> None:
        del self._living[number]
        if self._process is not None:
            process = self._process
            process.unanswered.add(number)
            self._on_loop(lambda: self._expect(number, process))  # where uvloop reads itself, the answer comes first
        self._tell(f"-{number}\n")
        if self._process is None:
            self._look_again(time.monotonic() + orphan_reaper.PATIENCE)

    def _look_again(self, until: float) -> None:
        """Look, and as long as something may be left do so once more after a rest."""
        if self._process is None and not self._closing and self._look(b"", 0.0) and time.monotonic() < until:
            self._on_loop(lambda: self._rest(until))

    def _tell(self, line: str) -> None:
        if self._process is not None:
            _say(self._process, line)
        elif time.monotonic() >= self._not_before:
            self._start()

    def _start(self) -> None:
        self._started_at = time.monotonic()
        self._not_before = self._started_at + min(LONGEST_BREATH, BREATH * 2**self._lost_early)
        if getattr(sys, "frozen", False):  # the executable is the program itself: it would start once more
            self._not_before = float("inf")
            self._on_loop(lambda: self._tell_lost("a frozen program cannot start one"))
            return
        try:
            process = ReaperProcess(command(), self._tree, self.held)
        except Exception as error:  # a failure here must not end healthy actors
            why = f"it could not be started: {error}"
            self._on_loop(lambda: self._lost(why))
            return
        self._process = process
        process.sock.settimeout(BREATH)
        with contextlib.suppress(OSError):
            process.sock.sendall(self._everything().encode())
        process.sock.settimeout(LOOK)
        self._on_loop(lambda: self._watch(process))

    def _everything(self) -> str:
        """The state that a new reaper needs."""
        told = [f"+{number} {pid}\n" for number, pid in self._living.items()]
        if len(self._living) < self._last:  # lives have ended whose descendants may still run
            told.append(f"?{self._last}\n")
        return "".join(told)

    def _look(self, news: bytes, until: float) -> bool:
        """Do the reaper's work here, at least one look long; whether something may be left."""
        substitute = orphan_reaper.Reaper(os.getpid(), self._tree, answer=_take_answer)
        substitute.hear(self._everything().encode() + news)
        with contextlib.suppress(OSError):  # no descriptor is free
            substitute.look()
            while substitute.uneasy and time.monotonic() < until:
                time.sleep(orphan_reaper.SHORT)
                substitute.look()
        return substitute.uneasy

    def _end_and_reap(self, process: ReaperProcess) -> None:
        """The reaper is dead, or does not answer: end and reap it."""
        process.kill()
        code = process.wait()
        if self._process is process:
            self._process = None
        self._on_loop(lambda: self._lost(_why(code, self._words)))

    def _on_loop(self, job: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(job)

    # ---- on the loop's thread

    def over(self, number: int) -> None:
        """The process of that life has ended and is reaped."""
        self._do(lambda: self._over(number))

    async def close(self) -> None:
        """End the reaper; returns when nothing is left of any life, nor of it."""
        self._closing = True
        ended = asyncio.Event()

        def end() -> None:
            try:
                self.end()
            finally:
                self._on_loop(ended.set)

        self._do(end)
        await ended.wait()
        self._answered_all()
        if self._process is not None:
            sock = self._process.sock
            self._reader.forget(sock.fileno(), close=sock.close)

    def _watch(self, process: ReaperProcess) -> None:
        self._answered_all()
        self._unheard, self._words = b"", ""
        self._reader.stream(process.sock, lambda chunk: self._heard(chunk, process), lambda: self._ended(process))

    def _heard(self, chunk: bytes, process: ReaperProcess) -> None:
        *lines, self._unheard = (self._unheard + chunk).split(b"\n")
        for line in lines:
            self._take(line, process)

    def _ended(self, process: ReaperProcess) -> None:
        if not self._closing:
            self._answered_all()
            self._reader.forget(process.sock.fileno(), close=process.sock.close)
            self._do(lambda: self._end_and_reap(process))

    def _take(self, line: bytes, process: ReaperProcess) -> None:
        if line.isdigit():
            reap_child(int(line))
        elif line == b".":
            self._taken_in = True
        elif line[:1] == b"-" and line[1:].isdigit():
            process.unanswered.discard(int(line[1:]))
            timer = self._unanswered.pop(int(line[1:]), None)
            if timer is not None:
                timer.cancel()
        else:  # a line of the interpreter
            self._words = line.decode(errors="replace").strip() or self._words

    def _expect(self, number: int, process: ReaperProcess) -> None:
        """Wait for its answer that it knows the end of that life; replace it if none comes."""
        if number in process.unanswered:
            self._unanswered[number] = self._loop.call_later(ANSWER / 2, self._grow_impatient, number, process)

    def _grow_impatient(self, number: int, process: ReaperProcess) -> None:
        """It has not answered for a while: from now on only time counts that it could use."""
        if process is self._process:
            patience = Patience(ANSWER / 2, self._loop.time(), process.condition())
            self._look_later(ANSWER / 2, number, process, patience)

    def _look_later(self, wait: float, number: int, process: ReaperProcess, patience: Patience) -> None:
        self._unanswered[number] = self._loop.call_later(wait, self._look_for_answer, number, process, patience)

    def _look_for_answer(self, number: int, process: ReaperProcess, patience: Patience) -> None:
        if process is not self._process:
            return
        wait = patience.look(self._loop.time(), process.condition())
        if not wait and process.has_spoken():  # the daemon has not read it yet
            wait = AGAIN
        if wait:
            self._look_later(wait, number, process, patience)
            return
        self._words = f"it did not answer within {ANSWER:g} s"
        process.kill()

    def _answered_all(self) -> None:
        for timer in self._unanswered.values():
            timer.cancel()
        self._unanswered.clear()

    def _lost(self, why: str) -> None:
        if self._closing:
            return
        early = time.monotonic() < self._started_at + STEADY
        self._lost_early = self._lost_early + 1 if early else 0
        if not early:
            self._told_lost = ""
        self._tell_lost(why)
        self._loop.call_later(max(0.0, self._not_before - time.monotonic()), self._do, self._start_again)

    def _rest(self, until: float) -> None:
        self._loop.call_later(orphan_reaper.REST, self._do, lambda: self._look_again(until))

    def _tell_lost(self, why: str) -> None:
        if why != self._told_lost:
            self._told_lost = why
            self._on_lost(why)

    def _start_again(self) -> None:
        if self._process is None and not self._closing and time.monotonic() >= self._not_before:
            self._start()


def _say(process: ReaperProcess, line: str) -> None:
    """Send it a line, if it reads: where many lives end at once, not before it has looked at all processes."""
    try:
        process.sock.sendall(line.encode())
    except TimeoutError:  # it does not read: another one will be started
        process.kill()
    except OSError:  # it is dead; the loop sees its end of file, and the next one gets the whole state
        pass


def _why(code: int | None, words: str) -> str:
    if words:
        return f"it ended: {words}"
    if code is None:
        return "it ended"
    return f"it ended: signal {signal.Signals(-code).name}" if code < 0 else f"it ended: exit code {code}"


def _take_answer(line: bytes) -> None:
    """Handle here what the reaper would send to the daemon."""
    if line.strip().isdigit():
        reap_child(int(line))


def reap_child(pid: int) -> None:
    """Take the exit code of a dead process, if it is a child of this one: a daemon that is PID 1 inherits orphans."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
