"""The child's end of its output: whole records, no waiting for a daemon that takes nothing, no losses uncounted."""

from __future__ import annotations

import os
import threading
import time
import warnings

import pytest

from actors.ipc import output_pipe as room
from actors.ipc.output_pipe import OutputPipe
from actors.wire.log_lines import Lines, Lost, Record, read_line


class Pipe:
    """A voice and who hears it."""

    def __init__(self):
        self.reading, writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.output_pipe = OutputPipe(writing)
        self.output_pipe.open()
        self.writing = self.output_pipe._fd
        self._lines = Lines()

    def heard(self):
        said = []
        while True:
            try:
                chunk = os.read(self.reading, 1 << 20)
            except BlockingIOError:
                return said
            said += [one for line in self._lines.feed(chunk) for one in read_line(line)]

    def fill(self):
        """Say things until there is no room; how many."""
        count = 0
        while self.output_pipe._patient:
            self.output_pipe.say("info", "it.was_said", {"number": count})
            count += 1
        return count

    def close(self):
        self.output_pipe.close()
        os.close(self.reading)


@pytest.fixture
def pipe():
    made = Pipe()
    yield made
    made.close()


@pytest.fixture(params=["unblocked", "blocking"])
def either(request, monkeypatch):
    """The same where the system cannot open a pipe anew."""
    if request.param == "blocking":
        monkeypatch.setattr(room, "_unblocked", lambda fd: (fd, True))
    made = Pipe()
    yield made
    made.close()


def test_what_is_said_is_heard(pipe):
    """One record each, in order."""
    pipe.output_pipe.say("info", "first.came", {"a": 1})
    pipe.output_pipe.say("error", "second.came", {})
    assert [Record("info", "first.came", {"a": 1}), Record("error", "second.came", {})] == pipe.heard()


def test_a_daemon_that_takes_nothing_stalls_nobody(either):
    """One short wait, then everything is dropped at once; the count comes before the next record, exactly."""
    said = either.fill()
    for _ in range(10_000):
        either.output_pipe.say("info", "it.was_said", {"number": -1})
    heard = either.heard()
    assert list(range(said - 1)) == [record.fields["number"] for record in heard]
    either.output_pipe.say("info", "it.goes_on", {})
    lost, record = either.heard()
    assert 10_001 == lost.lines
    assert lost.size > 10_001 * len("it.was_said")
    assert "it.goes_on" == record.event


def test_patience_comes_back(pipe):
    """Once there was room again, a record waits for some again."""
    pipe.fill()
    pipe.heard()
    pipe.output_pipe.say("info", "it.goes_on", {})
    assert pipe.output_pipe._patient


def test_a_record_waits_for_a_daemon_that_is_busy_for_a_moment(pipe, monkeypatch):
    """Room that comes in time is used, nothing is lost."""
    monkeypatch.setattr(room, "PATIENCE", 20_000)
    heard = []
    over = threading.Event()

    def slowly():
        while not over.is_set():
            time.sleep(0.001)
            heard.extend(pipe.heard())

    daemon = threading.Thread(target=slowly)
    daemon.start()
    for number in range(5000):
        pipe.output_pipe.say("info", "it.was_said", {"number": number})
    over.set()
    daemon.join()
    heard += pipe.heard()
    assert list(range(5000)) == [record.fields["number"] for record in heard]


def test_settle_says_what_was_lost(pipe):
    """At the end of a life there is no next record; the count leaves all the same."""
    pipe.fill()
    pipe.heard()
    pipe.output_pipe.settle()
    (lost,) = pipe.heard()
    assert isinstance(lost, Lost)
    pipe.output_pipe.settle()
    assert [] == pipe.heard()


def test_an_actor_that_closed_its_descriptors_hears_nothing_of_it():
    """What cannot be said is counted; nothing is raised."""
    pipe = Pipe()
    pipe.close()
    pipe.output_pipe.say("info", "it.was_said", {})
    pipe.output_pipe.settle()
    assert 1 == pipe.output_pipe._lost.lines


def test_a_daemon_that_is_gone(pipe):
    """The same without a reader."""
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - its descriptor is wanted
        os.dup2(nothing.fileno(), pipe.reading)
    pipe.output_pipe.say("info", "it.was_said", {})
    assert 1 == pipe.output_pipe._lost.lines


def test_threads_say_whole_records(pipe, monkeypatch):
    """Records of several threads do not mix, and none is counted twice."""
    monkeypatch.setattr(room, "PATIENCE", 20_000)

    def say(name):
        for number in range(200):
            pipe.output_pipe.say("info", name, {"number": number})

    threads = [threading.Thread(target=say, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    heard = []
    while any(thread.is_alive() for thread in threads):
        heard += pipe.heard()
    heard += pipe.heard()
    for name in "abc":
        assert list(range(200)) == [record.fields["number"] for record in heard if record.event == name]


def test_a_forked_process_does_not_wait_for_threads_it_has_not(pipe):
    """A lock that another thread held at the fork is a new one in the child."""
    os.register_at_fork(after_in_child=pipe.output_pipe._forked)
    held, go = threading.Event(), threading.Event()

    def hold():
        with pipe.output_pipe.lock:
            held.set()
            go.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # 3.15 raises it in the parent alone
        pid = os.fork()
    if pid == 0:
        pipe.output_pipe.say("info", "it.was_said", {})
        os._exit(0)
    go.set()
    thread.join()
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert ["it.was_said"] == [record.event for record in pipe.heard()]
