"""The orphan reaper without a daemon: which processes descend from a dead actor, and which do not."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest

from supervisor.system.orphan_reaper import Reaper, kill, look_at, start_of
from tests.support.waiting import alive, until_now

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="marks are looked for in /proc")

TREE = "0123456789abcdef"


@contextlib.contextmanager
def process(mark="", *, session=True):
    """A process that bears a mark; killed at the end."""
    made = subprocess.Popen(
        ["/bin/sleep", "3600"], env={**os.environ, "ACTORS_FAMILY": mark}, start_new_session=session
    )
    try:
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
            assert -9 == made.wait(5)
        assert ended != alive(made.pid)


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
        assert -9 == made.wait(5)


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
