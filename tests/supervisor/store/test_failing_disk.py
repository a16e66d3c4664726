"""A store on a disk that fails: what it acknowledged is there, what it refused is not, and it works again."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import resource
import shutil
import signal
import subprocess

import pytest

from supervisor.store import SQLiteStore, StoreError
from supervisor.store.sqlite import connection
from supervisor.store.writes import Accept, SaveState, Settle
from tests.support.disk import FAULTS, Disk, library
from tests.support.stored import row, seqs
from tests.support.waiting import until

LONG = bool(os.environ.get("ACTORS_LONG"))
ROUNDS, AT_ONCE = 5, 3

pytestmark = pytest.mark.skipif(
    library() is None, reason="this Python's SQLite is linked in: its calls cannot be reached"
)


class Model:
    """What a store should have, by what it has acknowledged."""

    def __init__(self):
        self.waiting = set()
        self.state = None
        self.refused = 0
        self.rounds = 0

    async def work(self, store, rounds=ROUNDS):
        """Rounds of groups; each takes two messages, and ends two of the round before with a new state."""
        for number in range(self.rounds, self.rounds + rounds):
            self.rounds += 1
            first = 100 * number + 1
            takes = [(first + 2 * one, first + 2 * one + 1) for one in range(AT_ONCE)]
            ended = sorted(self.waiting)[:2]
            commits = [store.commit([Accept("ledger", [row(seq, b"%d" % seq) for seq in take])]) for take in takes]
            commits.append(
                store.commit(
                    [Settle("ledger", [(seq, seq) for seq in ended]), SaveState("ledger", "", "S", b"%d" % number, 1.0)]
                )
            )
            *taken, settled = await asyncio.gather(*commits, return_exceptions=True)
            for take, error in zip(takes, taken, strict=True):
                self.note(error, lambda take=take: self.waiting.update(take))
            self.note(settled, lambda ended=ended, number=number: self.settle(ended, number))
        return self

    def settle(self, ended, number):
        self.waiting -= set(ended)
        self.state = b"%d" % number

    def note(self, error, then):
        if error is None:
            then()
        else:
            assert isinstance(error, StoreError), repr(error)
            self.refused += 1

    async def check(self, store):
        found = await store.messages("ledger", 0, 10_000)
        assert {message.seq for message in found} == self.waiting
        recovered = await store.recover("ledger")
        assert recovered.waiting == len(self.waiting)
        assert (recovered.states[""].data if recovered.states else None) == self.state


async def opened(path):
    store = SQLiteStore(path)
    await store.open()
    return store


@pytest.fixture
def small(monkeypatch):
    """A log that is written into the file often."""
    monkeypatch.setattr(connection, "_CHECKPOINT", 10)


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """How many calls of each function a run makes."""

    async def run(path):
        store = await opened(path)
        await Model().work(store)
        await store.close()

    path = tmp_path_factory.mktemp("usual") / "shop.db"
    with Disk(path) as disk:
        asyncio.run(run(path))
    return disk.calls


def places(usual, function):
    """Which calls fail, one after the other: a sample, in the long form all."""
    most = usual[function] + 2
    return range(1, most + 1) if LONG else sorted({1, most // 3, 2 * most // 3, most - 2} - {0, -1})


@pytest.mark.parametrize("lasts", [1, 40], ids=["once", "for a while"])
@pytest.mark.parametrize(("function", "error"), FAULTS, ids=lambda value: errno.errorcode.get(value, value))
async def test_a_call_that_fails(tmp_path, usual, small, function, error, lasts):
    """At each place: every group is stored or refused whole, and what follows is stored."""
    for place in places(usual, function):
        path = tmp_path / f"{place}.db"
        with Disk(path) as disk:
            disk.fail(function, place, error, lasts)
            store, model = SQLiteStore(path), Model()
            try:
                await store.open()
            except StoreError:
                disk.heal()
                await store.open()
            await model.work(store)
            disk.heal()
            before = model.refused
            await model.work(store, 1)
            assert model.refused == before, "it does not work again"
            await model.check(store)
            await store.close()
        store = await opened(path)
        await model.check(store)
        await store.close()


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.EMFILE], ids=errno.errorcode.get)
async def test_a_file_that_opens_only_to_be_read(tmp_path, error):
    """SQLite reads what it cannot write: the start is refused, and the store is not stuck with what it opened."""
    path = tmp_path / "shop.db"
    await (await opened(path)).close()
    with Disk(path) as disk:
        disk.fail("open", 1, error)
        with pytest.raises(StoreError, match=r"it cannot be written \(SQLITE_READONLY"):
            await opened(path)
        disk.heal()
        store = await opened(path)
        await Model().work(store, 1)
        await store.close()


async def test_a_disk_that_cannot_read_is_named(tmp_path):
    """SQLite says of most such reads that the file is damaged: the text leads to the kernel's log all the same."""
    path = tmp_path / "shop.db"
    store = await opened(path)
    await Model().work(store, 1)
    await store.close()
    texts = []
    with Disk(path) as disk:
        for place in range(1, 20):
            disk.fail("pread", disk.calls["pread"] + place, errno.EIO, 1000)
            try:
                await (await opened(path)).close()
            except StoreError as error:
                texts.append(str(error))
            disk.heal()
    assert texts
    assert all("the kernel's log" in text for text in texts), texts


@pytest.mark.parametrize("place", [1, 2, 3])
async def test_a_lock_that_fails_once(tmp_path, place):
    """Also one that SQLite could not give back: it is in its own way, for ten seconds at a time, until it is closed."""
    path = tmp_path / "shop.db"
    with Disk(path) as disk:
        store, model = await opened(path), Model()
        await model.work(store, 1)
        disk.fail("fcntl", disk.calls["fcntl"] + place, errno.ENOLCK)
        await model.work(store, 1)
        await model.work(store, 1)
        before = model.refused
        await model.work(store, 1)
        assert model.refused == before, "it does not work again"
        await model.check(store)
        await store.close()


@pytest.mark.parametrize("seed", range(20 if LONG else 3))
async def test_a_power_cut(tmp_path, small, seed):
    """With sync="full" everything acknowledged is there, though what was not synced is gone; groups are whole."""
    path = tmp_path / "shop.db"
    chance = random.Random(seed)
    with Disk(path) as disk:
        disk.copy_at_sync(tmp_path / "synced")
        store, model = await opened(path), Model()
        for cut in range(6):
            await model.work(store, chance.randint(1, 4))
            after = await opened(disk.cut_power(tmp_path / f"cut{cut}"))
            await model.check(after)
            await after.close()
        await store.close()


async def test_a_disk_that_is_full(tmp_path):
    """A real one: nothing is acknowledged that is not there, and it goes on when there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mounted(disk, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        pytest.skip("no right to mount a small file system")
    try:
        path, seq = disk / "shop.db", 0
        store = await opened(path)
        with pytest.raises(StoreError, match=r"its disk, or its quota, is full .* Free space"):
            while True:
                await store.commit([Accept("ledger", [row(seq + 1, bytes(50_000))])])
                seq += 1
        assert len(await store.messages("ledger", 0, 1000)) == seq
        again = store._database.idle
        await store._thread.call(again)
        assert "is full" in str(store.failure), "there is room for a smaller group alone"
        assert mounted(disk, "-o", "remount,size=4m")
        await store._thread.call(again)
        assert store.failure is None
        await store.commit([Accept("ledger", [row(seq + 1, bytes(50_000))])])
        assert len(await store.messages("ledger", 0, 1000)) == seq + 1
        await store.close()
        store = await opened(path)
        assert len(await store.messages("ledger", 0, 1000)) == seq + 1
        await store.close()
    finally:
        unmount(disk)


async def test_a_limit_of_the_size_of_a_file(tmp_path):
    """As a full disk: that there is room for a smaller group alone does not count as working."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as CPython has it; a runner of tests may have changed it
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    store = await opened(tmp_path / "shop.db")
    await store.commit([Accept("ledger", [row(seq, bytes(4000)) for seq in range(1, 100)])])
    limit = (tmp_path / "shop.db-wal").stat().st_size + 8000
    again = store._database.idle
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        with pytest.raises(StoreError, match="IOERR"):
            await store.commit([Accept("ledger", [row(100, bytes(40_000))])])
        await store._thread.call(again)
        assert store.failure is not None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await store._thread.call(again)
    assert store.failure is None
    await store.close()


def mounted(where, *arguments):
    return subprocess.run(["mount", *arguments, where], check=False, capture_output=True).returncode == 0


def unmount(where):
    subprocess.run(["umount", "-l", where], check=True)


async def test_settled_messages_make_room_on_a_full_disk(tmp_path):
    """As long as the log has room to say so; a store that was full goes on with what it has."""
    store = await opened(tmp_path / "shop.db")
    pages = store._thread.call(lambda: store._database._connection.execute("PRAGMA max_page_count = 60").fetchone())
    await pages
    seq = 0
    with pytest.raises(StoreError, match="full"):
        while True:
            await store.commit([Accept("ledger", [row(seq + 1, bytes(4000))])])
            seq += 1
    await store.commit([Settle("ledger", [(1, seq // 2)])])
    await store.commit([Accept("ledger", [row(seq + 1, bytes(4000))])])
    assert (await store.recover("ledger")).waiting == seq - seq // 2 + 1
    await store.close()


async def test_a_file_that_is_moved_and_put_back(tmp_path):
    """Nothing is written into a file that no one can find; when it is back, the store goes on."""
    folder = tmp_path / "data"
    folder.mkdir()
    store, model = await opened(folder / "shop.db"), Model()
    await model.work(store)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=r"moved, deleted or replaced .* Put it back"):
        await store.commit([Accept("ledger", [row(900)])])
    assert "moved, deleted or replaced" in str(store.failure)
    (tmp_path / "elsewhere").rename(folder)
    await until(lambda: store.failure is None, "the store finds by itself that it works again")
    await model.work(store)
    await store.close()
    store = await opened(folder / "shop.db")
    await model.check(store)
    await store.close()


async def test_a_file_that_is_deleted(tmp_path):
    """No new one is made in its place behind the daemon's back."""
    store = await opened(tmp_path / "shop.db")
    await store.commit([Accept("ledger", [row(1)])])
    (tmp_path / "shop.db").unlink()
    with pytest.raises(StoreError, match="moved, deleted or replaced"):
        await store.commit([Accept("ledger", [row(2)])])
    with pytest.raises(StoreError, match="moved, deleted or replaced"):
        await store.recover("ledger")
    await store.close()
    assert not (tmp_path / "shop.db").exists()


@pytest.mark.parametrize("looks", ["idle", "busy"])
async def test_a_log_that_is_deleted(tmp_path, looks):
    """What it has is written into the file: no kill loses what was acknowledged."""
    store = await opened(tmp_path / "shop.db")
    await store.commit([Accept("ledger", [row(1)])])
    (tmp_path / "shop.db-wal").unlink()
    if looks == "busy":
        await store.commit([Accept("ledger", [row(2)])])
    else:
        await store._thread.call(store._database.idle)
    shutil.copytree(tmp_path, tmp_path / "killed")
    killed = await opened(tmp_path / "killed" / "shop.db")
    assert seqs(await killed.messages("ledger", 0, 9)) == ([1, 2] if looks == "busy" else [1])
    await killed.close()
    await store.commit([Accept("ledger", [row(3)])])
    assert (tmp_path / "shop.db-wal").exists()
    await store.close()
