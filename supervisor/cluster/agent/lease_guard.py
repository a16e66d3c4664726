"""Lease guard: a process that kills its agent when the daemon has not renewed the lease in time.

It asks the daemon again and again, as long as the agent's loop runs; an answer renews the lease from the moment of the
question, so an answer that was held up by the network renews nothing. It is a process of its own because an agent that
is stopped or stuck must die, too; the kernel then kills every life, each of which is bound to the agent's thread that
started it.

Runs as `python -I -S lease_guard.py <agent's pid> <seconds> <descriptor of the connection> <of the agent's pipe>`.
"""

import os
import select
import signal
import socket
import sys
import time

QUESTIONS = 4  # in one lease
STUCK = 0.5  # of a lease without a sign of the agent's loop, after which the daemon is not asked any more
SIZE = 8  # bytes of a question, and of its answer, which is the same number

CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # it counts while the machine sleeps


class Lease:
    """The lease: until when it holds, and the questions that have no answer yet.

    Attributes:
        until: as above, by `now`.
        next_question: when the daemon is asked.
        runs_until: until when the agent's loop counts as running.
    """

    def __init__(self, seconds: float, sock: socket.socket) -> None:
        self.until = now() + seconds
        self.next_question = 0.0
        self._seconds = seconds
        self.sign()
        self._sock = sock
        self._asked: dict[int, float] = {}
        self._number = 0
        self._unread = b""

    def sign(self) -> None:
        """The agent's loop runs."""
        self.runs_until = now() + self._seconds * STUCK

    def ask(self) -> None:
        """Ask the daemon, unless the agent is stuck; a question that the network does not take now is not asked."""
        self.next_question = now() + self._seconds / QUESTIONS
        if now() > self.runs_until:
            return
        self._number += 1
        self._asked[self._number] = now()
        try:  # noqa: SIM105 - contextlib is more than this needs
            self._sock.send(self._number.to_bytes(SIZE, "little"))
        except BlockingIOError:
            pass

    def hear(self) -> bool:
        """Take answers in; False at the end of the connection."""
        try:
            data = self._sock.recv(4096)
        except BlockingIOError:
            return True
        self._unread += data
        while len(self._unread) >= SIZE:
            number, self._unread = int.from_bytes(self._unread[:SIZE], "little"), self._unread[SIZE:]
            self.until = max(self.until, self._asked.get(number, 0.0) + self._seconds)
            self._asked = {later: at for later, at in self._asked.items() if later > number}
        return bool(data)


def now() -> float:
    """Seconds."""
    return time.clock_gettime(CLOCK)


def must_end(lease: Lease, sock: int, pipe: int) -> bool:
    """Return True when the agent must end, False when it has ended."""
    while now() < lease.until:
        if now() >= lease.next_question:
            lease.ask()
        ready, _, _ = select.select([sock, pipe], [], [], max(0.0, min(lease.until, lease.next_question) - now()))
        if pipe in ready:
            if not os.read(pipe, 4096):
                return False
            lease.sign()
        if sock in ready and not lease.hear():  # the daemon has ended, or has given this machine up
            return True
    return True


def main() -> None:
    """See the module."""
    agent, seconds, fd, pipe = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    os.write(1, b"+")
    try:
        end = must_end(Lease(seconds, sock), fd, pipe)
    except OSError:
        end = True
    if end and os.getppid() == agent:
        os.kill(agent, signal.SIGKILL)


if __name__ == "__main__":
    main()
