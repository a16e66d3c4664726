"""An actor that leaves relatives behind: descendants made in every way there is, most of which try to get away."""

from __future__ import annotations

import collections
import itertools
import os
import signal
import subprocess
from pathlib import Path

from actors import Actor, Message, handles
from tests.support.taking_time import sleep_forever

SLEEP = ["/bin/sleep", "3600"]


class Beget(Message[list[int]]):
    """Make one descendant of each of these kinds; their process ids."""

    kinds: list[str]


class Spin(Message[None]):
    """Touch a file, then stay for ever in a loop of C code that holds the interpreter's lock."""

    path: str


class Leave(Message[None]):
    """Exit without a word."""


class Parent(Actor):
    @handles
    def beget(self, msg: Beget) -> list[int]:
        return [pid for kind in msg.kinds for pid in globals()[kind]()]

    @handles
    def spin(self, msg: Spin) -> None:
        Path(msg.path).touch()
        collections.deque(itertools.repeat(0), maxlen=0)

    @handles
    def leave(self, msg: Leave) -> None:
        os._exit(0)


def fork() -> list[int]:
    """A fork that keeps all it inherited."""
    pid = os.fork()
    if pid == 0:
        sleep()
    return [pid]


def run() -> list[int]:
    """Another program."""
    return [subprocess.Popen(SLEEP).pid]


def shell() -> list[int]:
    """A program whose own children live on when it is gone."""
    script = "sleep 3600 & echo $!; sleep 3600 & echo $!"
    with subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        return [int(process.stdout.readline()), int(process.stdout.readline())]


def session() -> list[int]:
    """A program in a session of its own."""
    return [subprocess.Popen(SLEEP, start_new_session=True).pid]


def daemonise() -> list[int]:
    """The classic: fork, a session of its own, fork again, close everything."""
    return twice(sleep_without_descriptors)


def daemonise_and_run() -> list[int]:
    """The same, and then another program."""
    return twice(lambda: os.execv(SLEEP[0], SLEEP))


def stopped() -> list[int]:
    """A program that does not run."""
    process = subprocess.Popen(SLEEP)
    process.send_signal(signal.SIGSTOP)
    return [process.pid]


def liberate() -> list[int]:
    """A session of its own, and an environment without the mark: this one is meant to live on."""
    environment = {name: value for name, value in os.environ.items() if name != "ACTORS_FAMILY"}
    return twice(lambda: os.execve(SLEEP[0], SLEEP, environment))


def twice(then) -> list[int]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.write(writer, b"%d\n" % os.getpid())
        os.closerange(0, writer)
        os.closerange(writer + 1, 1024)
        then()  # closes the pipe: its own program is there when the parent reads the pid
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        return [int(pipe.read())]


def sleep_without_descriptors() -> None:
    os.closerange(0, 1024)
    sleep()


def sleep() -> None:
    while True:
        sleep_forever()


KINDS = {kind.__name__: kind for kind in (fork, run, shell, session, daemonise, daemonise_and_run, stopped)}
