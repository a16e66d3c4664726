"""Values in shared memory pass every way, keep their bytes over kills, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from actors import ActorCrashed, ActorStopped, AskTimeout, MailboxFull, Shared, UsageError
from actors.ipc import shared_memory
from actors.ipc.shared_memory import SMALL, SWITCH
from supervisor import ChildSpec, Supervisor
from supervisor.store import SQLiteStore
from tests.support.sharers import (
    SIZE,
    Album,
    Blob,
    Drop,
    Echo,
    EchoPair,
    Fill,
    Hold,
    Keep,
    Kept,
    Make,
    Numbers,
    Pair,
    Photo,
    Pid,
    Relay,
    RelayBlob,
    Relayer,
    RelayMany,
    Summer,
    SyncSummer,
    Total,
    TotalOfAll,
    TotalOrDie,
    Upload,
    Write,
    holders,
    segments,
)
from tests.support.waiting import until

pytestmark = pytest.mark.processes
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memfd is Linux's")
AT_ONCE = 60.0
TAKEN_BY = (
    rf"had no room for Total within 0.05 s: messages hold 2 shared values of {2 * SIZE} bytes \(3 for /root/summer\), "
    rf"of at most {2 * SIZE} bytes \(max_shared_bytes\) or \d+ values; \d messages wait for room"
)
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["shared", "off"])
def way(request, monkeypatch):
    """In shared memory, and as bytes through the pipe, where there is none."""
    if request.param == "off":
        monkeypatch.setenv(SWITCH, "off")
    return request.param


def ones(count=SIZE // 8):
    return Shared.of(np.ones(count))


async def test_every_way(way):
    """To an actor and back, nested, beside large bytes, in a stream, in a feed, from actor to actor."""
    numbers = np.arange(SIZE // 8, dtype="f8").reshape(64, -1)
    big, small = Shared.of(numbers), Shared.of(np.arange(6, dtype=">i2"))
    async with Supervisor(ChildSpec(Summer, name="summer"), ChildSpec(Relayer, name="relayer"), spares=0) as root:
        summer = root["summer"]
        assert numbers.sum() == await summer.ask(Total(big), timeout=AT_ONCE)
        assert 15.0 == await summer.ask(Total(small))
        back = await summer.ask(Echo(big))
        np.testing.assert_array_equal(numbers, back.array())
        assert ("<f8", (64, SIZE // 8 // 64), SIZE) == (back.dtype, back.shape, len(back))
        assert not back.array().flags.writeable
        nested = TotalOfAll([{"a": big, "b": small}, {}, {"c": big}], Pair(big, ones()))
        assert 3 * numbers.sum() + 15 + SIZE // 8 == await summer.ask(nested)
        pairs = await summer.ask(EchoPair(Pair(big, small)))
        assert [SIZE, SIZE] == [len(pair.left) for pair in pairs]
        assert bytes(small) == bytes(pairs[0].right or b"")
        assert b"rarrta" == await summer.ask(Photo(b"ra" * SIZE, Shared.of(b"rr" * SIZE), b"ta" * SIZE))
        made = await summer.ask(Make(SIZE // 8, 3.0))
        assert 3.0 * (SIZE // 8) == made.array().sum() == await summer.ask(Total(made))
        assert list(range(70)) == [item.array()[5] async for item in summer.stream(Numbers(70))]
        assert 5 * (SIZE // 8) == await summer.feed(Upload("five"), [ones() for _ in range(5)])
        assert 2 * numbers.sum() == await root["relayer"].ask(Relay("summer", big))
        many = [small, small, *(Shared.of(np.full(SMALL, n, dtype="u1")) for n in range(40)), small]
        totals = [15.0, 15.0, *(float(SMALL * n) for n in range(40)), 15.0]
        assert totals == await root["relayer"].ask(RelayMany("summer", many))


async def test_a_reader_that_writes_gets_an_error(way):
    """And nothing is changed, wherever else the value is."""
    async with Supervisor(ChildSpec(Summer, name="summer"), spares=0) as root:
        value = ones()
        assert "read-only" in await root["summer"].ask(Write(value), timeout=AT_ONCE)
        with pytest.raises(ValueError, match="read-only"):
            value.array()[0] = 7.0
        with pytest.raises(TypeError, match="read-only"):
            value.memoryview()[0] = 7
        assert SIZE // 8 == await root["summer"].ask(Total(value))


async def test_a_pool_and_a_kill_in_the_middle(way, tmp_path):
    """What is delivered again has the same bytes."""
    async with Supervisor(ChildSpec(Summer, name="pool", size=2), spares=0) as root:
        values = [Shared.of(np.full(SIZE // 8, float(number))) for number in range(20)]
        asks = [root["pool"].ask(Total(value), timeout=AT_ONCE) for value in values]
        dying = root["pool"].ask(TotalOrDie(values[3], str(tmp_path / "died")), timeout=AT_ONCE)
        del values
        *totals, again = await asyncio.gather(*asks, dying, return_exceptions=True)
        assert 3.0 * (SIZE // 8) == again
        for number, total in enumerate(totals):
            assert isinstance(total, ActorCrashed) or total == number * (SIZE // 8)


@LINUX
async def test_freed_when_the_last_holder_lets_go():
    """Not before: what an actor keeps stays, also when its sender has closed it."""
    async with Supervisor(ChildSpec(Summer, name="summer"), spares=0) as root:
        summer = root["summer"]
        pid = await summer.ask(Pid(), timeout=AT_ONCE)
        with ones() as value:
            assert 1 == await summer.ask(Keep(value))
        del value
        await nothing_of()
        assert segments(pid)
        await summer.ask(Drop())
        await nothing_of(pid)
        assert SIZE // 8 == await summer.ask(Total(ones()))
        back = await summer.ask(Echo(ones()))
        await nothing_of(pid)
        view = back.memoryview()
        back.close()
        assert b"\0\0\0\0\0\0\xf0\x3f" == view[:8]
        del view, back
        await nothing_of()


@LINUX
async def test_an_idle_actor_keeps_no_value():
    """Not even that of its last message."""
    async with Supervisor(ChildSpec(SyncSummer, name="summer"), spares=0) as root:
        pid = await root["summer"].ask(Pid(), timeout=AT_ONCE)
        assert SIZE // 8 == await root["summer"].ask(Total(ones()))
        await nothing_of(pid)


@LINUX
@pytest.mark.parametrize("victim", ["receiver", "maker"])
async def test_a_kill_leaves_no_memory_and_no_descriptor(victim, tmp_path):
    """Of an actor that has values, waits for them, or has made them."""
    async with Supervisor(ChildSpec(Summer, name="summer"), ChildSpec(Relayer, name="relayer"), spares=0) as root:
        summer = root["summer"]
        pid = await summer.ask(Pid(), timeout=AT_ONCE)
        await summer.ask(Keep(ones()))
        made = await summer.ask(Make(SIZE // 8, 1.0)) if victim == "maker" else None
        (there := tmp_path / "there").touch()
        holding = asyncio.create_task(summer.ask(Hold(ones(), str(tmp_path / "never")), timeout=AT_ONCE))
        # idempotent: a kill may come while it is decoded, which counts as begun
        waiting = asyncio.create_task(summer.ask(TotalOrDie(ones(), str(there)), timeout=AT_ONCE))
        await until((tmp_path / "never.begun").exists, "the first message is being handled")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ActorCrashed):
            await holding
        assert SIZE // 8 == await waiting
        if made is not None:
            assert SIZE // 8 == made.array().sum()
            made.close()
        del holding, waiting, made
        await nothing_of(await summer.ask(Pid()))


@LINUX
async def test_an_idle_actor_has_no_descriptor_more():
    """The socket for descriptors is made when the first value passes."""
    async with Supervisor(ChildSpec(Summer, name="summer"), spares=0) as root:
        pid = await root["summer"].ask(Pid(), timeout=AT_ONCE)
        before = sockets(pid)
        await root["summer"].ask(Total(ones()))
        assert before + 1 == sockets(pid)


async def test_what_cannot_be_sent_is_refused_at_once(way):
    """In the sender's own call; the actor is not disturbed."""
    async with Supervisor(ChildSpec(Summer, name="summer"), spares=0) as root:
        summer = root["summer"]
        value = Shared.allocate(shape=(4, SIZE // 32), dtype="f8")
        with pytest.raises(UsageError, match="writable view or array of it is open"):
            view = value.array()
            await summer.ask(Total(value))
        view[:] = 2.0
        del view
        assert SIZE / 4 == await summer.ask(Total(value), timeout=AT_ONCE)
        value.close()
        with pytest.raises(UsageError, match="closed it; make another one"):
            await summer.ask(Total(value))
        with pytest.raises(UsageError, match="cannot be pickled"):
            ChildSpec(Relayer, args=(ones(),))
        with pytest.raises(UsageError, match="at most 128 values"):
            await summer.ask(TotalOfAll([{str(n): ones(SMALL) for n in range(140)}], Pair(ones())))
        assert 0.0 == await summer.ask(Total(Shared.of(np.zeros(1))))


async def test_bounded_for_a_tree(tmp_path):
    """What does not fit waits, in the order of arrival, or is refused; it is counted until it is settled."""
    async with Supervisor(ChildSpec(Summer, name="summer"), max_shared_bytes=2 * SIZE, spares=0) as root:
        summer, go = root["summer"], tmp_path / "go"
        value = ones()
        with pytest.raises(UsageError, match="raise max_shared_bytes"):
            summer.tell_nowait(Total(ones(SIZE)))
        holding = asyncio.create_task(summer.ask(Hold(value, str(go)), timeout=AT_ONCE))
        await until((tmp_path / "go.begun").exists, "it is being handled")
        summer.tell_nowait(Total(value))  # the same value counts once
        summer.tell_nowait(Total(ones()))
        assert (2, 2 * SIZE) == (root.snapshot().shared_values, root.snapshot().shared_bytes)
        assert "2 shared values" in str(root.snapshot())
        with pytest.raises(MailboxFull, match="raise max_shared_bytes"):
            summer.tell_nowait(Total(ones()))
        late = asyncio.create_task(summer.ask(Total(ones()), timeout=0.05))
        waiting = asyncio.create_task(summer.ask(Total(ones()), timeout=AT_ONCE))
        gone = asyncio.create_task(summer.tell(Total(ones())))
        with pytest.raises(AskTimeout, match=TAKEN_BY):
            await late
        with pytest.raises(UsageError, match="message 1 of this call: a message for /root/summer carries 1 shared val"):
            await summer.ask_many([Total(value), Total(ones(SIZE))])
        gone.cancel()
        assert not waiting.done()
        go.touch()
        await holding
        assert SIZE // 8 == await waiting
        assert SIZE // 8 == await summer.ask(Total(ones()))
        await until(lambda: not root.snapshot().shared_bytes, "nothing is counted")


@LINUX
async def test_a_stream_is_a_few_values_ahead_and_they_take_no_room():
    """They count while the daemon has them; a reader that sends on what it reads does not wait for itself."""
    specs = (ChildSpec(Summer, name="summer"), ChildSpec(Summer, name="other"))
    async with Supervisor(*specs, max_shared_bytes=SIZE, spares=0) as root:
        numbers = root["summer"].stream(Numbers(30))
        first = await anext(numbers)
        await until(lambda: root.snapshot().shared_values == 7, "the next ones have come")
        assert 7 * SIZE == root.snapshot().shared_bytes
        assert 0.0 == await root["other"].ask(Total(first))
        sums = [await root["other"].ask(Total(item)) async for item in numbers]
        assert [n * (SIZE // 8) for n in range(1, 30)] == sums
        await until(lambda: not root.snapshot().shared_bytes, "nothing is counted")


async def test_who_waits_when_the_actor_goes_down(tmp_path):
    """Gets its error at once."""
    async with Supervisor(ChildSpec(Summer, name="summer"), max_shared_bytes=SIZE, spares=0) as root:
        holding = asyncio.create_task(root["summer"].ask(Hold(ones(), str(tmp_path / "never")), timeout=AT_ONCE))
        await until((tmp_path / "never.begun").exists, "it is being handled")
        waiting = asyncio.create_task(root["summer"].ask(Total(ones()), timeout=AT_ONCE))
        await asyncio.sleep(0)
        await root.terminate_child("summer")
        with pytest.raises(ActorStopped):
            await waiting
        await asyncio.gather(holding, return_exceptions=True)


@LINUX
async def test_the_daemon_maps_nothing_that_one_actor_sends_another(monkeypatch):
    """It passes the descriptor on."""
    mapped = []
    monkeypatch.setattr(shared_memory, "_mapped", lambda *args: mapped.append(args))
    async with Supervisor(ChildSpec(Summer, name="summer"), ChildSpec(Relayer, name="relayer"), spares=0) as root:
        assert 5 == await root["relayer"].ask(Fill("summer", 5), timeout=AT_ONCE)
        await root["summer"].ask(Pid())
    assert [] == mapped


async def test_plain_bytes_from_actor_to_actor(way, tmp_path):
    """And back, over a kill in the middle."""
    async with Supervisor(ChildSpec(Summer, name="summer"), ChildSpec(Relayer, name="relayer"), spares=0) as root:
        assert await root["relayer"].ask(RelayBlob("summer", str(tmp_path / "died")), timeout=AT_ONCE)
        assert 2 * SIZE == len(await root["summer"].ask(Blob(b"r" * SIZE, str(tmp_path / "died"), b"t" * SIZE)))
        await until(lambda: not root.snapshot().shared_bytes, "nothing is held")


@LINUX
async def test_the_daemon_does_not_read_plain_bytes_that_one_actor_sends_another(tmp_path, monkeypatch):
    """It passes descriptors on, and counts them while it holds them; one limit bounds all that is shared."""
    mapped, most = [], []
    monkeypatch.setattr(shared_memory, "_mapped", lambda *args: mapped.append(args))
    (there := tmp_path / "there").touch()
    async with Supervisor(ChildSpec(Summer, name="summer"), ChildSpec(Relayer, name="relayer"), spares=0) as root:
        os.kill(pid := await root["summer"].ask(Pid(), timeout=AT_ONCE), signal.SIGSTOP)
        relayed = asyncio.create_task(root["relayer"].ask(RelayBlob("summer", str(there)), timeout=AT_ONCE))
        await until(lambda: root.snapshot().shared_values, "the message is in the mailbox")
        most.append((root.snapshot().shared_values, root.snapshot().shared_bytes))
        os.kill(pid, signal.SIGCONT)
        assert await relayed
    assert [(2, 3 * SIZE)] == most
    assert [] == mapped


@LINUX
async def test_a_durable_mailbox_has_a_copy_of_its_own(tmp_path):
    """The value is in the store; the next daemon's actor gets the same bytes in shared memory of its own."""
    store = SQLiteStore(tmp_path / "kept.db", sync="normal")
    spec = ChildSpec(Album, name="album", durable=True, shutdown=0.1)
    async with Supervisor(spec, store=store, spares=0) as root:
        os.kill(await root["album"].ask(Pid(), timeout=AT_ONCE), signal.SIGSTOP)
        value = Shared.of(np.arange(SIZE // 8, dtype="f8"))
        total = value.array().sum()
        await root["album"].tell(Keep(value))
        value.close()
    del value
    await nothing_of()
    assert SIZE < (tmp_path / "kept.db").stat().st_size
    async with Supervisor(spec, store=SQLiteStore(tmp_path / "kept.db", sync="normal"), spares=0) as root:
        assert [total] == await root["album"].ask(Kept(), timeout=AT_ONCE)


@LINUX
async def test_a_kill_of_the_daemon_leaves_no_memory(tmp_path):
    """Neither of its own values, nor of those of an actor, a handler or a mailbox."""
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.sharing_daemon", str(tmp_path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert daemon.stdout is not None
    inodes = [int(one) for one in (await daemon.stdout.readline()).split()]
    assert all(holders(inode) for inode in inodes)
    daemon.kill()
    await daemon.communicate()  # to the end of its output, which its actors have, too
    await until(lambda: not any(map(holders, inodes)), "no process has one of them")


def sockets(pid):
    found = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            found += "socket:" in str(fd.readlink())
    return found


async def nothing_of(*pids):
    gc.collect()
    await until(lambda: not segments(*pids), "all shared values are gone")
