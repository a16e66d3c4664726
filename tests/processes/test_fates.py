"""Every message has one fate, over kills at random instants: forty with the suite, two hundred with `make chaos`."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from collections import Counter
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

from actors import ActorCrashed
from supervisor import Backoff, ChildSpec, DeadLetter, Intensity, Supervisor
from tests.support.bank import Bank, Note, Pay
from tests.support.killing import collect, kill_often
from tests.support.sites import Site
from tests.support.waiting import until

pytestmark = pytest.mark.processes

LONG = pytest.mark.skipif(os.environ.get("ACTORS_LONG") != "1", reason="takes a minute: make chaos")
SENDERS = 4


class Ledger:
    """What the senders know of each message: its fate, in their eyes."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, int]] = []
        self.answered: set[tuple[str, int, int]] = set()
        self.crashed: dict[tuple[str, int, int], ActorCrashed] = {}


@pytest.mark.parametrize("kills", [40, pytest.param(200, marks=[LONG, pytest.mark.slow, pytest.mark.timeout(600)])])
async def test_every_message_has_exactly_one_fate_over_kills(tmp_path: Path, kills: int, site: Site) -> None:
    """Money is never begun twice, notes are all taken, order holds, nothing is unaccounted for, nothing leaks."""
    book = tmp_path / "book"
    ledger = Ledger()
    letters: list[DeadLetter] = []
    resource_tracker.ensure_running()  # multiprocessing's own helper; it lives as long as this process
    before = resources()
    async with Supervisor(
        ChildSpec(
            Bank,
            args=(str(book),),
            name="bank",
            backoff=Backoff(initial=0.0, cap=0.0),
            max_deliveries=1000,
            place=site.place,
            start_timeout=site.start_timeout,
        ),
        intensity=Intensity.unlimited(),
        **site.options,
    ) as root:
        await root["bank"].ask(Note(99, 0), timeout=60)
        await until(lambda: site.place != "local" or root.snapshot().spares == 1, "a spare, which holds descriptors")
        inside = resources()
        buried = asyncio.create_task(collect(root, letters))
        over = asyncio.Event()
        senders = [asyncio.create_task(send(root, ledger, sender, over)) for sender in range(SENDERS)]
        await kill_often(root, kills, random.Random(20))
        over.set()
        await asyncio.gather(*senders)
        await root["bank"].ask(Note(99, 1), timeout=60)  # after all others, so all others are over
        gc.collect()
        await until(lambda: inside[0] == resources()[0], "no thread more")
        await until(lambda: inside[1] >= resources()[1] - 2, "no descriptor more")
        assert resources()[2] - inside[2] < 24 * 1024, "KiB the daemon grew by"
    buried.cancel()
    await until(lambda: before[:2] == resources()[:2], "the end of its threads and descriptors")
    judge(ledger, letters, book.read_text().splitlines())


async def send(root: Supervisor, ledger: Ledger, sender: int, over: asyncio.Event) -> None:
    """Asks and tells of both kinds, in a known order, until the killing is over."""
    bank = root["bank"]
    dice = random.Random(sender)
    number = 0
    while not over.is_set():
        asks = []
        for _ in range(dice.randrange(1, 8)):
            number += 1
            message = dice.choice((Pay, Note))(sender, number)
            key = (type(message).__name__.lower(), sender, number)
            ledger.sent.append(key)
            if dice.random() < 0.5:
                await bank.tell(message)
            else:
                asks.append(asyncio.create_task(judge_ask(ledger, key, bank.ask(message, timeout=None))))
                await asyncio.sleep(0)  # the task has put its message into the mailbox
        await asyncio.gather(*asks)


async def judge_ask(ledger: Ledger, key: tuple[str, int, int], asking) -> None:
    try:
        assert key[2] == await asking
    except ActorCrashed as error:
        ledger.crashed[key] = error
    else:
        ledger.answered.add(key)


def judge(ledger: Ledger, letters: list[DeadLetter], lines: list[str]) -> None:
    begun: Counter[tuple[str, int, int]] = Counter()
    ended: Counter[tuple[str, int, int]] = Counter()
    last: dict[int, int] = {}
    for line in lines:
        step, kind, sender, number = line.split()
        key = (kind, int(sender), int(number))
        if step == "begin":
            if not begun[key]:
                assert last.get(key[1], -1) < key[2], "a message overtook another of the same sender"
                last[key[1]] = key[2]
            begun[key] += 1
        else:
            ended[key] += 1
    dead = {(type(letter.message).__name__.lower(), letter.message.sender, letter.message.number) for letter in letters}
    assert len(dead) == len(letters), "a message died twice"
    for key in ledger.sent:
        assert begun[key] >= 1 or key in dead, f"{key} vanished"  # killed between the black box's line and the book's
        if key[0] == "pay":
            assert begun[key] <= 1, f"{key} was begun {begun[key]} times"
            finished = key in ledger.answered or (key in ledger.crashed and ledger.crashed[key].finished is True)
            if key in dead:
                assert not finished
            else:
                assert ended[key] == 1, f"{key} is neither handled nor dead"
        else:
            assert ended[key] >= 1, f"{key} is idempotent and was never finished"
            assert key not in dead
            assert key not in ledger.crashed
    assert len(ledger.sent) > 100


def resources() -> tuple[int, int, int]:
    """Threads, descriptors and resident KiB of this process."""
    status = Path("/proc/self/status").read_text()
    memory = int(status.split("VmRSS:")[1].split()[0])
    threads = [one for one in threading.enumerate() if not one.name.startswith("asyncio_")]  # those go with the loop
    return len(threads), len(list(Path("/proc/self/fd").iterdir())), memory
