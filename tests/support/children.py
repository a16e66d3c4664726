"""What spawned processes run in the tests: plain multiprocessing code, importable by name."""

from __future__ import annotations

import itertools
import os
import random
import signal
from collections.abc import Callable
from typing import Any

from actors.event import SafeEvent, readable
from actors.queue import SafeQueue


def set_event(event: Any) -> None:
    event.set()


def wait_event(event: Any, waiting: Any) -> None:
    waiting.set()
    event.wait()


def return_slot(first: SafeEvent, second: SafeEvent) -> None:
    first.wait()
    first.clear()
    second.set()


def keep_setting(event: SafeEvent, begun: SafeEvent) -> None:
    while True:
        event.set()
        event.clear()
        begun.set()


def echo(inbox: SafeQueue, outbox: SafeQueue) -> None:
    while (item := inbox.get()) is not None:
        outbox.put(item)


def get_for_ever(inbox: SafeQueue, waiting: SafeEvent) -> None:
    waiting.set()
    while True:
        inbox.get()


def put_numbers(outbox: SafeQueue, count: int) -> None:
    for number in range(count):
        outbox.put(number)


def put_numbers_and_tell(outbox: SafeQueue, count: int, told: SafeEvent) -> None:
    put_numbers(outbox, count)
    told.set()


def put_until(outbox: SafeQueue, stop: SafeEvent) -> None:
    """Numbers at an uneven pace until `stop` is set, then None."""
    dice = random.Random(7)
    for number in itertools.count():
        if stop.wait(dice.choice((0, 0, 0.001, 0.002))):
            break
        outbox.put(number)
    outbox.put(None)


def put_large(outbox: SafeQueue, writer: int) -> None:
    """Large and small items in turn, each of them recognisable as whole."""
    for number in itertools.count():
        size = (200_000, 50_000, 10)[number % 3]
        outbox.put((writer, number, bytes([number % 251]) * size))


def take_and_die(inbox: SafeQueue, begun: SafeEvent) -> None:
    """Be killed in the worst moment: the item is taken, its place is not given back."""
    begun.set()
    readable(inbox.fileno(), None)
    inbox._reader.recvmsg(1)
    os.kill(os.getpid(), signal.SIGKILL)


def nursery(orders: SafeQueue, pids: SafeQueue, deed: Callable[..., None], queue: SafeQueue) -> None:
    """Fork one process for each order and tell its pid: a hundred victims at the price of one spawn."""
    while (order := orders.get()) is not None:
        pid = os.fork()
        if pid == 0:
            deed(queue, order)
            os._exit(0)
        pids.put(pid)
        os.waitpid(pid, 0)
