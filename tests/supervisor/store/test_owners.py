"""Who owns a store: one process, until it ends, in whatever way; and what a killed owner leaves."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.store import SQLiteStore, StoreBusy, StoreError
from tests.support.stored import accept, seqs

ROOT = Path(__file__).parents[3]
ROUNDS = 200 if os.environ.get("ACTORS_LONG") else 3


def python(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE)


def writer(path, sync="full"):
    return python("-m", "tests.support.store_writer", str(path), sync)


def kill(process):
    """Kill it, and return the last number that it said is stored."""
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()
    process.wait()
    process.stdout.close()
    whole = rest[: rest.rfind(b"\n") + 1].split()
    return int(whole[-1]) if whole else 0


async def opened(path):
    store = SQLiteStore(path)
    await store.open()
    return store


@pytest.mark.processes
@pytest.mark.timeout(1200 if ROUNDS > 3 else 120)
@pytest.mark.parametrize("sync", ["full", "normal"])
async def test_a_writer_that_is_killed_at_any_moment(tmp_path, sync):
    """What it acknowledged is there; each group is there whole or not at all; its lock is gone with it."""
    path, chance = tmp_path / "shop.db", random.Random(sync)
    for _ in range(ROUNDS):
        process = writer(path, sync)
        told = 0
        for _ in range(chance.randint(1, 30)):
            told = int(process.stdout.readline())
        told = max(told, kill(process))
        store = await opened(path)
        recovered = await store.recover("ledger")
        last = recovered.last_seq
        assert last >= told
        assert recovered.states[""].data == b"%d" % last
        waiting = seqs(await store.messages("ledger", 0, 1000))
        assert waiting == list(range(max(1, last - 99), last + 1))
        assert recovered.waiting == len(waiting)
        await store.close()


@pytest.mark.processes
async def test_a_store_has_one_owner(tmp_path):
    """The second one is told which process has it, and gets it when that is gone."""
    path = tmp_path / "shop.db"
    process = writer(path)
    process.stdout.readline()
    try:
        with pytest.raises(StoreBusy, match=rf"in use by process {process.pid}; one daemon owns a store") as busy:
            await opened(path)
        assert busy.value.pid == process.pid
        link = tmp_path / "link.db"
        link.symlink_to(path)
        with pytest.raises(StoreBusy):
            await opened(link)
    finally:
        kill(process)
    store = await opened(link)
    await store.close()


async def test_two_trees_of_one_process(tmp_path):
    """The second one is refused, which takes nothing from the first."""
    path = tmp_path / "shop.db"
    first = await opened(path)
    with pytest.raises(StoreBusy, match="open in this process already") as busy:
        await opened(path)
    assert busy.value.pid == os.getpid()
    process = writer(path)
    assert process.stdout.readline() == b""
    assert process.wait() == 1
    process.stdout.close()
    await first.commit(accept("ledger", 1))
    await first.close()
    again = await opened(path)
    assert seqs(await again.messages("ledger", 0, 5)) == [1]
    await again.close()


@pytest.mark.processes
async def test_a_fork_does_not_keep_the_lock(tmp_path):
    """A child of the daemon that outlives it holds neither the store nor its lock."""
    path = tmp_path / "shop.db"
    code = (
        "import asyncio, os, signal, sys\n"
        "from supervisor.store import SQLiteStore\n"
        "async def main():\n"
        "    store = SQLiteStore(sys.argv[1]); await store.open()\n"
        "    pid = os.fork()\n"
        "    if pid == 0: os.close(1); signal.pause()\n"
        "    print(pid, flush=True); os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    process = python("-W", "ignore", "-c", code, str(path))
    fork = int(process.stdout.readline())
    process.wait()
    process.stdout.close()
    try:
        store = await opened(path)
        await store.commit(accept("ledger", 1))
        await store.close()
    finally:
        os.kill(fork, signal.SIGKILL)


@pytest.mark.processes
async def test_an_owner_whose_lock_was_deleted_stores_nothing_any_more(tmp_path):
    """Another daemon may take the store then; it has all that was acknowledged before."""
    path = tmp_path / "shop.db"
    process = writer(path)
    process.stdout.readline()
    (tmp_path / "shop.db-lock").unlink()
    *told, _ = [0, *map(int, process.stdout.read().split()), 0]
    assert process.wait() == 1
    process.stdout.close()
    store = await opened(path)
    assert (await store.recover("ledger")).last_seq >= told[-1]
    (tmp_path / "shop.db-lock").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=r"shop.db-lock was moved, .* another daemon may have the store .* Start"):
        await store.commit(accept("ledger", 10_000))
    assert store.failure is not None
    await store.close()
