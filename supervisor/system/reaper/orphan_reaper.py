"""Orphan reaper: the process that ends descendants of dead actors, and everything when the daemon is killed.

It ends only processes of its own tree's lives: by session, as long as that certainly still belongs to the life, or by
mark. It notices the daemon's end by itself.

Runs in a process and session of its own: `python -I -S orphan_reaper.py <daemon's pid> <tree> <descriptor of a
socket>`. `Reaper` itself also runs in the daemon, in the thread that spawns, while there is no such process. The
daemon sends `+<life> <pid>` when a life begins, `-<life>` when it has ended and `.` when all have; lives are numbered
upwards. To a successor it sends `?<life>` for the last of them. The reaper answers `-<life>` and `.` with the same
line at once, and sends `<pid>` for a dead process that only the daemon can reap. Anything else it writes is the
interpreter's reason why it could not run.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # without an import of typing
if TYPE_CHECKING:
    from collections.abc import Callable

SOON = 0.02  # seconds from an end to the look for what it left: many ends, one look
REST = 0.2  # seconds between two looks, and at least as many times the length of a look
SHARE = 20
SHORT = 0.002  # seconds between two of the last looks
PATIENCE = 5.0  # seconds for the very last look; the kernel may hold processes that cannot die yet
TICK = 0.2  # seconds between looks at the daemon where its end cannot be awaited

LONG = 86400.0  # seconds
UNSENT = 1 << 20  # bytes

MEMORY, ENVIRONMENT = 20, 47  # fields of /proc/<pid>/stat, counted from behind the name

FOR_EVER = sys.maxsize


class Reaper:
    """What is known of one tree's lives and their descendants.

    Args:
        daemon: process id of the daemon, this process's parent.
        tree: prefix of the marks of its lives.
        answer: sends the daemon a line.
    """

    def __init__(self, daemon: int, tree: str, answer: Callable[[bytes], None]) -> None:
        self.daemon = daemon
        self._answer = answer
        self._tree = f"{tree}:".encode()
        self._heads: dict[int, tuple[int, bytes]] = {}  # of running lives: process id and its start time
        self._over: dict[int, bytes] = {}  # of ended lives whose descendants may still run, by process id
        self._known = 0  # a life with a lower number that has no head has ended
        self.uneasy = False  # whether descendants may be left
        self._killed: set[tuple[int, bytes]] = set()
        self._exe = link("/proc/self/exe")
        self._unread = b""

    # ---- what the daemon sends

    def hear(self, data: bytes) -> None:
        """Process received bytes."""
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        kind, words = line[:1], line[1:].split()
        if kind == b".":
            self._answer(b".\n")
            self.all_over()
            return
        life = int(words[0])
        self._known = max(self._known, life + 1)
        if kind == b"+":
            pid = int(words[1])
            self._heads[life] = pid, start_of(pid)
            return
        self.uneasy = True
        if kind == b"-":
            self._answer(line + b"\n")
            if life in self._heads:
                self._over.update([self._heads.pop(life)])

    def all_over(self) -> None:
        """All lives have ended, whatever was received before."""
        self._over.update(self._heads.values())
        self._heads.clear()
        self._known = FOR_EVER
        self.uneasy = True

    @property
    def finished(self) -> bool:
        """Whether no life can start any more."""
        return self._known == FOR_EVER

    # ---- what it does

    def look(self) -> None:
        """End all descendants of lives that have ended."""
        if not self._exe:  # no /proc: only process groups are known
            for head in self._over:
                kill_process_group(head)
            self._over.clear()
            self.uneasy = False
            return
        living = {pid for pid, _ in self._heads.values()}
        ended = {head for head, start in self._over.items() if start_of(head) in (b"", start)}  # or a stranger has it
        any_left = False
        for name in os.listdir("/proc"):
            if name.isdigit() and (seen := look_at(int(name))):
                any_left |= self._judge(int(name), seen, living, ended)
        if not any_left:
            self._over.clear()
            self._killed.clear()
        self.uneasy = any_left

    def _judge(self, pid: int, seen: tuple[bytes, int, int, bytes], living: set[int], ended: set[int]) -> bool:
        state, parent, session, start = seen
        if session in living or pid in living:
            return False
        relative = (
            session in ended or pid in ended or (pid, start) in self._killed
        )  # a dying process bears no mark any more
        if state in b"ZX":
            if not relative or parent != self.daemon:
                return False
            self._answer(b"%d\n" % pid)
            return True
        environment = read(f"/proc/{pid}/environ")
        if relative or self._is_marked(environment) or self._is_marked_fork(pid):
            self._killed.add((pid, start))
            return kill(pid, start)
        return not environment and is_executing(pid)  # the next look sees what it bears

    def _is_marked_fork(self, pid: int) -> bool:
        return link(f"/proc/{pid}/exe") == self._exe and self._is_marked(read(f"/proc/{pid}/maps"))

    def _is_marked(self, text: bytes) -> bool:
        for rest in text.split(self._tree)[1:]:
            digits = rest[: len(rest) - len(rest.lstrip(b"0123456789"))]
            if digits and int(digits) < self._known and int(digits) not in self._heads:
                return True
        return False


def look_at(pid: int) -> tuple[bytes, int, int, bytes] | None:
    """State, parent, session and start time of a process; None when there is none."""
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (fields[0], int(fields[1]), int(fields[3]), fields[19]) if fields else None


def is_executing(pid: int) -> bool:
    """Whether a process that showed no environment was executing a program, and may have one now or soon."""
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if not fields or fields[MEMORY] == b"0" or not link(f"/proc/{pid}/exe"):  # gone, the kernel's, or not ours to read
        return False
    begin, end = fields[ENVIRONMENT : ENVIRONMENT + 2]
    return end == b"0" or begin != end  # else it has none


def start_of(pid: int) -> bytes:
    """When a process was started, which tells it from a later one with its number; empty when there is none."""
    seen = look_at(pid)
    return seen[3] if seen else b""


def kill(pid: int, start: bytes) -> bool:
    """SIGKILL for the process with that number and start time, and for no other.

    Returns whether it may have an effect: not when the process is gone, nor when it is not ours to kill.
    """
    try:
        fd = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
    except OSError:
        return False
    try:
        if start_of(pid) != start:
            return False
        if fd >= 0:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    finally:
        if fd >= 0:
            os.close(fd)
    return True


def kill_process_group(leader: int) -> None:
    """SIGKILL for the whole process group, if there is one."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except OSError:
        pass


class Answers:
    """What the daemon is told: all of it, also where it reads late and the socket is full meanwhile.

    Attributes:
        unsent: lines that the socket did not take yet.
    """

    def __init__(self) -> None:
        self.unsent = b""

    def add(self, line: bytes) -> None:
        """Add a line. A daemon that does not read at all (it is stopped) cannot make this grow for ever."""
        if len(self.unsent) < UNSENT:
            self.unsent += line

    def send(self) -> None:
        """Send as much as the socket takes."""
        while self.unsent:
            try:
                self.unsent = self.unsent[os.write(0, self.unsent) :]
            except BlockingIOError:
                return
            except OSError:  # the daemon is gone
                self.unsent = b""


def read(path: str) -> bytes:
    """Content of a file in /proc; empty when it is gone or not readable."""
    chunks = []
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while chunk := os.read(fd, 65536):
                chunks.append(chunk)
        finally:
            os.close(fd)
    except OSError:
        return b""
    return b"".join(chunks)


def link(path: str) -> str:
    """Target of a link in /proc; empty when it is not readable."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def hear(reaper: Reaper) -> None:
    """Process everything in the socket."""
    while True:
        try:
            data = os.read(0, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            reaper.all_over()
            return
        reaper.hear(data)


def watch(reaper: Reaper, answers: Answers) -> None:
    """Serve the daemon until it says that all lives have ended, or is gone."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    tick = float(FOR_EVER)
    try:
        poll.register(os.pidfd_open(reaper.daemon), select.POLLIN)  # a fork of it may keep the socket open
    except (AttributeError, OSError):
        tick = TICK
    due = float(FOR_EVER)  # time of the next look
    rested = 0.0
    while not reaper.finished:
        wait = min(tick, due - time.monotonic())
        poll.modify(0, select.POLLIN | select.POLLOUT if answers.unsent else select.POLLIN)
        poll.poll(None if wait > LONG else max(0.0, wait) * 1000)
        orphaned = os.getppid() != reaper.daemon
        hear(reaper)  # also when the daemon is gone: its last lines name the last lives
        answers.send()
        if orphaned:
            reaper.all_over()
            return
        begun = time.monotonic()
        if due <= begun:
            reaper.look()
            answers.send()
            over = time.monotonic()
            rested = over + max(REST, SHARE * (over - begun))
            due = rested if reaper.uneasy else FOR_EVER
        elif reaper.uneasy:
            due = min(due, max(begun + SOON, rested))


def set_up(sock: int) -> None:
    """Leave the daemon's session, directory and streams; the socket becomes standard input and standard error."""
    os.setsid()
    os.chdir("/")
    os.dup2(sock, 0)
    os.dup2(sock, 2)
    os.close(sock)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    name("actors-reaper")


def name(text: str) -> None:
    """Set the name that `ps` and `top` show."""
    try:
        fd = os.open("/proc/self/comm", os.O_WRONLY)
    except OSError:
        return
    os.write(fd, text.encode())
    os.close(fd)


def main() -> None:
    """Serve one tree, then end everything left of it."""
    set_up(int(sys.argv[3]))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.set_blocking(0, False)
    answers = Answers()
    reaper = Reaper(int(sys.argv[1]), sys.argv[2], answers.add)
    watch(reaper, answers)
    deadline = time.monotonic() + PATIENCE
    while reaper.uneasy and time.monotonic() < deadline:
        reaper.look()
        answers.send()
        if reaper.uneasy:
            time.sleep(SHORT)


if __name__ == "__main__":
    main()
    os._exit(0)  # nothing to clean up
