"""Guard: the daemon's side of its guardian, the process that ends what actors leave behind (see `supervisor.guardian`).

Law: what is told stands in the order in which it happened; nobody waits for the guardian but the end of the tree. A
     guardian that dies or does not listen is replaced, and the new one is told everything.
May import: guardian, ports, reader.

One per tree. Its methods say in which thread they run: the loop's, or the one that spawns.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing.spawn
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Final

from supervisor import guardian
from supervisor.ports import AnyReader

LAST_LOOK: Final = guardian.PATIENCE + 1.0  # seconds the guardian may take to leave
BREATH: Final = 1.0  # seconds a guardian must have lived to be replaced at once

OnLost = Callable[[str], None]


class Guard:
    """The daemon's side of one tree's guardian. Made on the loop's thread; starts nothing before the first life.

    Args:
        loop: of the tree.
        reader: waits for the guardian's end.
        do: runs a job in the thread that spawns, after those given before.
        on_lost: told on the loop why the guardian is not there.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reader: AnyReader,
        do: Callable[[Callable[[], None]], None],
        on_lost: OnLost,
    ) -> None:
        self._tree = os.urandom(8).hex()
        self._numbers = count(1)
        self._last = 0
        self._living: dict[int, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._not_before = 0.0
        self._closing = False
        self._unheard = b""
        self._loop = loop
        self._reader = reader
        self._do = do
        self._on_lost = on_lost

    # ---- in the thread that spawns

    def mark(self) -> str:
        """The mark of the family of the process that is started next."""
        self._last = next(self._numbers)
        return f"{self._tree}:{self._last}"

    def begun(self, pid: int) -> int:
        """The process with the last mark was started; the number of its family."""
        number = self._last
        self._living[number] = pid
        self._tell(f"+{number} {pid}\n")
        return number

    def end(self) -> None:
        """All lives are over: the guardian ends what is left and leaves. Waits for that, but not for ever."""
        if self._process is None or self._sock is None:
            return
        self._tell(".\n")
        poll = select.poll()
        poll.register(self._sock, 0)  # nothing but that it hung up
        if not poll.poll(LAST_LOOK * 1000):
            self._process.kill()
        self._process.wait()

    def abandon(self) -> None:
        """The same when the loop was closed without us."""
        self.end()
        if self._sock is not None:
            self._sock.close()

    def _over(self, number: int) -> None:
        del self._living[number]
        self._tell(f"-{number}\n")

    def _tell(self, line: str) -> None:
        if self._sock is None or self._process is None:
            if time.monotonic() >= self._not_before:
                self._start()
            return
        try:
            self._sock.send(line.encode())
        except BlockingIOError:  # it does not listen: another one will
            self._process.kill()
        except OSError:  # it is dead, which its end of file says to the loop; the next one is told everything
            pass

    def _start(self) -> None:
        if getattr(sys, "frozen", False):  # the executable is the program itself: it would start once more
            return
        self._not_before = time.monotonic() + BREATH
        mine, its = socket.socketpair()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own file, our own interpreter
                [
                    os.fsdecode(multiprocessing.spawn.get_executable()),
                    "-I",
                    "-S",
                    guardian.__file__,
                    str(os.getpid()),
                    self._tree,
                ],
                stdin=its.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            mine.close()
            why = f"it could not be started: {error}"
            self._on_loop(lambda: self._lost(why))
            return
        finally:
            its.close()
        self._sock = mine
        told = [f"+{number} {pid}\n" for number, pid in self._living.items()]
        if len(self._living) < self._last:  # another guardian was here before, and may not have done all it had to
            told.append(f"?{self._last}\n")
        mine.settimeout(BREATH)
        with contextlib.suppress(OSError):
            mine.sendall("".join(told).encode())
        mine.setblocking(False)
        self._on_loop(lambda: self._watch(mine))

    def _bury(self) -> None:
        """The guardian is dead, or as good as that."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._sock = None
        self._unheard = b""

    def _on_loop(self, job: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(job)

    # ---- on the loop's thread

    def over(self, number: int) -> None:
        """The head of that family is dead and buried."""
        self._do(lambda: self._over(number))

    async def close(self) -> None:
        """End the guardian; returns when nothing is left of any family, nor of it."""
        self._closing = True
        ended = asyncio.Event()

        def end() -> None:
            self.end()
            self._on_loop(ended.set)

        self._do(end)
        await ended.wait()
        if self._sock is not None:
            self._reader.forget(self._sock.fileno(), close=self._sock.close)

    def _watch(self, sock: socket.socket) -> None:
        self._reader.stream(sock, lambda chunk: self._heard(sock, chunk))

    def _heard(self, sock: socket.socket, chunk: bytes) -> None:
        *pids, self._unheard = (self._unheard + chunk).split(b"\n")
        for pid in pids:
            bury(int(pid))
        if not chunk and not self._closing:
            self._reader.forget(sock.fileno(), close=sock.close)
            self._do(self._bury)
            self._lost("it ended")

    def _lost(self, why: str) -> None:
        self._on_lost(why)
        self._loop.call_later(max(0.0, self._not_before - time.monotonic()), self._do, self._start_again)

    def _start_again(self) -> None:
        if self._sock is None and not self._closing:
            self._start()


def bury(pid: int) -> None:
    """Take the exit code of a dead process, if it is a child of this one: so orphans come to a daemon that is PID 1."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def end_group(leader: int) -> None:
    """SIGKILL for all who are left in the group of a process that is dead and not yet buried.

    As long as nobody has taken its exit code, its number cannot be another's.
    """
    with contextlib.suppress(ChildProcessError, ProcessLookupError, PermissionError):
        if os.waitid(os.P_PID, leader, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            os.killpg(leader, signal.SIGKILL)
