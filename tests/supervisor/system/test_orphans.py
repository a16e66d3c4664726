"""The daemon's side of the orphan reaper, with a real reaper; its loop is scripted."""

from __future__ import annotations

import subprocess
import sys

import pytest

from supervisor.system.orphans import OrphanReaper

pytestmark = pytest.mark.processes


class Scripted:
    """A loop and its reader; the test says what runs when."""

    def __init__(self):
        self.jobs = []
        self.timers = []
        self.lost = []

    def call_soon_threadsafe(self, job):
        self.jobs.append(job)

    def call_later(self, seconds, call, *args):
        self.timers.append((seconds, call, args))

    def stream(self, sock, on_chunk, on_end):
        self.read = lambda: on_chunk(sock.recv(64))

    def run(self):
        while self.jobs:
            self.jobs.pop(0)()


def test_an_answer_that_is_read_before_the_loop_expects_it():
    """As on uvloop, which reads before it calls what a thread has asked for: nothing is waited for afterwards."""
    loop = Scripted()
    reaper = OrphanReaper(loop, loop, lambda job: job(), loop.lost.append)
    reaper.mark()
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        number = reaper.begun(process.pid)
    loop.run()
    try:
        reaper.over(number)
        loop.read()
        loop.run()
        assert ([], []) == (loop.timers, loop.lost)
    finally:
        reaper.abandon()
