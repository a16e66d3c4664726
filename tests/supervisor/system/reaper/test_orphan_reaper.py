"""The orphan reaper without a daemon: which processes descend from a dead actor, and which do not."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys

import pytest

from supervisor.system.reaper import orphan_reaper
from supervisor.system.reaper.orphan_reaper import Reaper, kill, look_at, read, start_of
from tests.support.waiting import DEADLINE, alive, until_now

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="marks are looked for in /proc")

TREE = "0123456789abcdef"


@contextlib.contextmanager
def process(mark="", *, session=True):
    """A process that bears a mark; killed at the end."""
    made = subprocess.Popen(
        ["/bin/sleep", "3600"], env={**os.environ, "ACTORS_FAMILY": mark}, start_new_session=session
    )
    try:
        until_now(lambda: read(f"/proc/{made.pid}/environ"), "its environment: it comes after the start of its program")
        yield made
    finally:
        made.kill()
        made.wait()


def reaper(said, answers=None):
    """One to whom that was said."""
    made = Reaper(os.getpid(), TREE, [].append if answers is None else answers.append)
    made.hear(said.encode())
    return made


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        ("", False),  # a life it has not heard of yet
        ("+7 1\n", False),  # it lives
        ("+8 1\n", True),  # a later one is known, so this one is over
        ("+7 1\n-7\n", True),
        ("?7\n", True),  # it was over before this reaper was started
        ("?6\n", False),
        ("+7 1\n?7\n", False),  # the last of them lives
        (".\n", True),  # all are over
        ("+7 1\n.\n", True),
        ("+7 1\n-", False),  # half a line
    ],
)
def test_who_bears_a_mark(said, ended):
    """The number of a life tells whether its family is to go."""
    with process(f"outer:1 {TREE}:7") as made:
        reaper(said).look()
        if ended:
            assert -9 == made.wait(DEADLINE)
        assert ended != alive(made.pid)


def test_a_process_whose_environment_is_not_there_yet(monkeypatch):
    """It is executing its program: the reaper looks again, and finds the mark."""
    with process(f"{TREE}:7") as made:
        early, fields = True, read(f"/proc/{made.pid}/stat").split()
        fields[49] = fields[50] = b"0"

        def read_early(path):
            of_it = early and path.startswith(f"/proc/{made.pid}/")
            return read(path) if not of_it else b"" if path.endswith("environ") else b" ".join(fields)

        monkeypatch.setattr(orphan_reaper, "read", read_early)
        ward = reaper("?7\n")
        ward.look()
        assert ward.uneasy
        assert alive(made.pid)
        early = False
        ward.look()
        assert -9 == made.wait(DEADLINE)


@pytest.mark.parametrize("environment", [{}, {"A": "b"}])
def test_a_stranger_does_not_keep_the_reaper_busy(environment):
    """Whether it has an environment or none, it is over soon."""
    made = subprocess.Popen(["/bin/sleep", "3600"], env=environment)
    try:
        ward = reaper("?7\n")
        until_now(lambda: ward.look() or not ward.uneasy, "rest")
        assert alive(made.pid)
    finally:
        made.kill()
        made.wait()


@pytest.mark.parametrize("mark", ["", "7", "fedcba9876543210:7", f"{TREE}:", f"{TREE}"])
def test_strangers(mark):
    """A process without a mark, with half a mark or another tree's is left alone."""
    with process(mark) as made:
        reaper(".\n").look()
        assert alive(made.pid)


def test_a_session_is_its_heads():
    """Without a mark: as long as the head's number is its own, its session ends with it."""
    with process() as made:
        ward = reaper(f"+1 {made.pid}\n")
        ward.look()
        assert alive(made.pid)
        ward.hear(b"-1\n")
        ward.look()
        assert -9 == made.wait(DEADLINE)


def test_a_number_that_is_a_strangers_by_now():
    """An actor was dead before it was announced, and its number is used again: no process is ended."""
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    ward = reaper(f"+1 {gone.pid}\n-1\n")
    with process() as made:
        ward._over = {made.pid: ward._over[gone.pid]}
        ward.look()
        assert alive(made.pid)
        assert not kill(made.pid, b"1")
        assert alive(made.pid)


def test_it_answers():
    """The end of each life and the end of all are answered at once, before anything is looked at."""
    answers = []
    reaper("+1 1\n+2 1\n-1\n-2\n.\n", answers)
    assert [b"-1\n", b"-2\n", b".\n"] == answers


def test_what_the_daemon_has_to_reap():
    """A dead one whose parent is the daemon is named to it, until it is gone."""
    said = []
    with process() as made:
        ward = reaper(f"+1 {made.pid}\n.\n", said)
        said.clear()
        ward.look()
        until_now(lambda: look_at(made.pid)[0] == b"Z", "its death")
        ward.look()
        assert [b"%d\n" % made.pid] == said
        assert ward.uneasy
        made.wait()
        ward.look()
        assert not ward.uneasy
        assert b"" == start_of(made.pid)


def test_no_answer_is_lost_when_the_daemon_reads_late():
    """Many lives end at once: their answers are more than the socket takes."""
    here, there = socket.socketpair()
    command = [sys.executable, "-I", "-S", orphan_reaper.__file__, str(os.getpid()), TREE, str(there.fileno())]
    with here, subprocess.Popen(command, pass_fds=[there.fileno()]) as made:
        there.close()
        lives = range(2000)
        here.settimeout(DEADLINE)
        here.sendall(b"".join(b"+%d 999999999\n" % life for life in lives))  # no process has that number
        for life in lives:
            here.sendall(b"-%d\n" % life)
        until_now(lambda: asleep(made.pid), "it waits: it has read everything, or cannot write")
        heard = b""
        while heard.count(b"\n") < len(lives):
            heard += here.recv(65536)
        assert b"".join(b"-%d\n" % life for life in lives) == heard
        here.shutdown(socket.SHUT_RDWR)
        assert 0 == made.wait(DEADLINE)


def asleep(pid):
    """Whether a process waits, in the kernel, at two looks."""
    return all(b"S" == look_at(pid)[0] for _ in range(2))
