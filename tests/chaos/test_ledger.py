"""Two durable ledgers under load, killed at random instants: the actors, the daemon, its process group, both.

Every acknowledged operation took effect exactly once on the state, none else did more than once, balances add up, and
each client's operations are in the order in which it sent them.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests.support.ledger_daemon import OTHER, read_log
from tests.support.ledgers import Book
from tests.support.long import often

ROOT = Path(__file__).parents[2]
KILLS = often(25, 1000)
DEADLINE = 60.0


class Daemon:
    """The daemon, over all of its runs."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None
        self.seen = self.counted = 0  # bytes and lines of the log: it is long after a thousand kills

    def start(self):
        for name in "ab":
            (self.folder / f"pid.{name}").unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.support.ledger_daemon", str(self.folder)]
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def lines(self):
        with contextlib.suppress(FileNotFoundError), (self.folder / "log").open("rb") as log:
            log.seek(self.seen)
            new = log.read()
            self.seen += len(new)
            self.counted += new.count(b"\n")
        return self.counted

    def wait_for(self, condition):
        until = time.monotonic() + DEADLINE
        while not condition():
            assert self.process.poll() is None, (self.folder / "out").read_text()[-5000:]
            assert time.monotonic() < until, (self.folder / "out").read_text()[-5000:]
            time.sleep(0.001)

    def kill_actor(self, name):
        file = self.folder / f"pid.{name}"
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):  # it is just being started
            os.kill(int(file.read_text()), signal.SIGKILL)

    def kill(self, *, group=False):
        (os.killpg if group else os.kill)(self.process.pid, signal.SIGKILL)
        self.process.wait()


def kill_something(daemon, dice):
    """Kill, and start again what does not come back by itself; returns what it was."""
    what = dice.choice(("actor", "actor", "daemon", "group", "both"))
    if what in ("actor", "both"):
        daemon.kill_actor(dice.choice("ab"))
    if what != "actor":
        daemon.kill(group=what == "group")
        daemon.start()
    return what


@pytest.mark.processes
@pytest.mark.chaos
@pytest.mark.timeout(7200 if os.environ.get("ACTORS_LONG") else 300)
def test_a_ledger_is_exact_over_any_kill(tmp_path):
    dice = random.Random()
    daemon = Daemon(tmp_path)
    daemon.start()
    killed = Counter()
    try:
        for _ in range(KILLS):
            wanted = daemon.lines() + dice.randint(1, 40)
            daemon.wait_for(lambda wanted=wanted: daemon.lines() >= wanted)
            time.sleep(dice.random() * 0.005)
            killed[kill_something(daemon, dice)] += 1
        (tmp_path / "stop").touch()
        daemon.wait_for((tmp_path / "result").exists)
        assert 0 == daemon.process.wait(DEADLINE)
    finally:
        daemon.process.kill()
    books = msgspec.json.decode((tmp_path / "result").read_bytes(), type=dict[str, Book])
    check(read_log(tmp_path), books)
    assert KILLS == killed.total()


def check(operations, books):
    """Every operation that was acknowledged once, in order; no other more than once."""
    balances = Counter()
    expected = {"a": Counter(), "b": Counter()}
    counts = {name: Counter(book.entries) for name, book in books.items()}
    for one in operations:
        times = counts[one.ledger][one.name]
        assert times == 1 if one.acknowledged else times <= 1, one
        balances[one.ledger] += times * one.amount * (-1 if one.kind == "transfer" else 1)
        expected[one.ledger][one.name] += times
        if one.kind == "transfer":
            assert times == counts[OTHER[one.ledger]][one.name], one
            balances[OTHER[one.ledger]] += times * one.amount
            expected[OTHER[one.ledger]][one.name] += times
    for name, book in books.items():
        assert balances[name] == book.balance
        assert counts[name] == +expected[name]
        own = {one.name for one in operations if one.ledger == name}
        for client in range(10):
            numbers = [
                int(entry.split(".")[1]) for entry in book.entries if entry in own and entry.startswith(f"{client}.")
            ]
            assert sorted(numbers) == numbers
