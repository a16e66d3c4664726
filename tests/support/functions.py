"""Plain functions for tests of FunctionSpec; imported by name in their processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

from tests.support.taking_time import sleep_forever

LOCKED = threading.Lock()


def serve(orders, results):
    """Carry out orders from a queue until None; each says how this process goes on."""
    while (order := orders.get()) is not None:
        results.put((os.getpid(), order))
        if order == "raise":
            raise ValueError("no such pair")
        if order == "exit":
            sys.exit(3)
        if order == "leave":
            os._exit(5)
        if order == "quit":
            os._exit(0)
        if order == "kill":
            os.kill(os.getpid(), signal.SIGKILL)


def sleep(results):
    """Sleep until SIGTERM, and clean up."""
    try:
        results.put(os.getpid())
        sleep_forever()
    finally:
        results.put("cleaned")


def ignore_stops(results):
    """Swallow every SystemExit."""
    results.put(os.getpid())
    while True:
        try:
            sleep_forever()
        except SystemExit:
            continue


def own_handler(results):
    """Its own handler for SIGTERM takes the place of SystemExit."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    results.put(-os.getpid())
    while not over.wait(0.01):
        pass
    results.put("handled")


def say_ready(gate, *, ready):
    gate.wait()
    ready()
    sleep_forever()


def forgets_ready(*, ready):
    del ready


def never_ready(*, ready):
    del ready
    sleep_forever()


def look(results):
    """Show its surroundings and its output."""
    print("a line")  # noqa: T201
    logging.getLogger("look").warning("a record")
    results.put(
        {
            "nice": os.getpriority(os.PRIO_PROCESS, 0),
            "env": os.environ["LOOK"],
            "cwd": str(Path.cwd()),
            "cpus": tuple(os.sched_getaffinity(0)),
            "name": multiprocessing.current_process().name,
        }
    )


def put_many(results, count):
    """Return at once, while most items still wait in this process."""
    for number in range(count):
        results.put((number, b"x" * 10_000))


def start_relatives(results):
    """A child process that forks, and one in a session of its own."""
    forked = os.fork()
    if not forked:
        sleep_forever()
    other = os.fork()
    if not other:
        os.setsid()
        sleep_forever()
    results.put((os.getpid(), forked, other))
    sleep_forever()


def needs(size, *, unit="s"):
    del size, unit


async def asynchronous():
    pass


def generator():
    yield 1
