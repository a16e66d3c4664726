"""SafeQueue: the interface of multiprocessing.Queue, in one process and between two."""

from __future__ import annotations

import itertools
import os
import pickle
import queue
import select
import socket
import subprocess
import sys
import threading
from tempfile import TemporaryFile

import pytest

import actors.queue.packets
import actors.queue.safe_queue
from actors.errors import UsageError
from actors.queue import SafeQueue
from actors.queue.packets import INLINE
from tests.support import children
from tests.support.spawning import DEADLINE, SPAWN, open_descriptors, running

MANY = 20_000  # small items: more than the kernel's buffer holds


@pytest.fixture(params=["seqpacket", "dgram and files"])
def transport(request, monkeypatch):
    """The way items travel: as on Linux, and as where SOCK_SEQPACKET, eventfd and memfd are missing."""
    if request.param == "seqpacket":
        if sys.platform == "darwin":
            pytest.skip("no SOCK_SEQPACKET here")
        return

    def datagrams():
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in ends:
            end.setblocking(False)
        return ends

    monkeypatch.delattr(os, "eventfd", raising=False)
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(actors.queue.packets, "TemporaryFile", TemporaryFile, raising=False)
    monkeypatch.setattr(actors.queue.safe_queue, "packet_pair", datagrams)


@pytest.fixture
def unbounded(transport):
    made = SafeQueue()
    yield made
    made.close()


@pytest.fixture
def two(transport):
    made = SafeQueue(2)
    yield made
    made.close()


def test_first_in_first_out(unbounded):
    """Items come out as they went in."""
    items = [1, "two", None, {"three": [4.0]}, b"\0", b""]
    for item in items:
        unbounded.put(item)
    assert items == [unbounded.get() for _ in items]


@pytest.mark.parametrize("size", [INLINE - 100, INLINE - 1, INLINE, INLINE + 1, 1_000_000])
def test_any_size(unbounded, size):
    """An item is whole, however it travels."""
    unbounded.put(b"x" * size)
    unbounded.put("next")
    assert b"x" * size == unbounded.get(timeout=DEADLINE)
    assert unbounded.get() == "next"


def test_nothing_there(unbounded):
    """Empty at once, or in time."""
    for get in (unbounded.get_nowait, lambda: unbounded.get(timeout=0.001), lambda: unbounded.get(False)):
        with pytest.raises(queue.Empty):
            get()


def test_no_place(two):
    """Full at once, or in time, and the item was not put."""
    two.put(1)
    two.put(2)
    assert two.full()
    for put in (two.put_nowait, lambda item: two.put(item, timeout=0.001), lambda item: two.put(item, False)):
        with pytest.raises(queue.Full):
            put(3)
    assert [two.get(), two.get()] == [1, 2]
    assert two.empty()


def test_a_taken_item_makes_place(two):
    """A thread that waits in put() goes on when an item is taken."""
    two.put(1)
    two.put(2)
    thread = threading.Thread(target=two.put, args=(3,))
    thread.start()
    assert two.get() == 1
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert [two.get(), two.get()] == [2, 3]


def test_unbounded_put_never_waits(unbounded):
    """What the kernel does not hold waits here and keeps its order; the feeder ends when it is through."""
    for number in range(MANY):
        unbounded.put(number)
    assert "waiting here" in repr(unbounded)
    assert list(range(MANY)) == [unbounded.get(timeout=DEADLINE) for _ in range(MANY)]
    for thread in threading.enumerate():
        if thread.name == "SafeQueue-feeder":
            thread.join(DEADLINE)
            assert not thread.is_alive()
    assert unbounded.empty()


def test_size():
    """qsize() counts all that is on its way, on Linux."""
    if sys.platform != "linux":
        pytest.skip("the kernel does not tell")
    bounded, unbounded = SafeQueue(3), SafeQueue()
    for made in (bounded, unbounded):
        assert made.qsize() == 0
        made.put(1)
        made.put(2)
        assert made.qsize() == 2
        made.get()
        assert made.qsize() == 1
        made.close()


def test_size_not_known(monkeypatch):
    """Where the kernel does not tell, it is as with multiprocessing.Queue."""
    monkeypatch.delattr(os, "eventfd", raising=False)
    with pytest.raises(NotImplementedError, match="empty\\(\\) or full\\(\\)"):
        SafeQueue().qsize()


def test_a_bound_beyond_counting():
    """A bound that cannot be counted is refused with its remedy."""
    with pytest.raises(UsageError, match="0 is unbounded"):
        SafeQueue(2**40)


def test_fileno_is_readable_while_there_is_an_item(unbounded):
    """Selectors can watch it."""
    assert select.select([unbounded], [], [], 0)[0] == []
    unbounded.put(1)
    assert [unbounded] == select.select([unbounded], [], [], 0)[0]


def test_unpicklable_items_fail_at_put(two):
    """The sender learns it, and no place is lost."""
    for _ in range(3):
        with pytest.raises((AttributeError, pickle.PicklingError)):
            two.put(lambda: None)
    assert two.empty()
    two.put(1)
    two.put(2)


def test_closed(unbounded):
    """Closing twice is once; afterwards it says what is the matter."""
    with pytest.raises(ValueError, match="still open"):
        unbounded.join_thread()
    unbounded.close()
    unbounded.close()
    unbounded.join_thread()
    uses = (lambda: unbounded.put(1), unbounded.get, unbounded.empty, unbounded.full, unbounded.fileno)
    for use in uses:
        with pytest.raises(ValueError, match="closed"):
            use()


def test_what_waits_is_sent_after_close(unbounded):
    """close() ends putting, not the delivery of what was put."""
    other = os.dup(unbounded.fileno())
    for number in range(MANY):
        unbounded.put(number)
    unbounded.close()
    reader = socket.socket(fileno=other)
    numbers = []
    while len(numbers) < MANY:
        assert select.select([reader], [], [], DEADLINE)[0]
        numbers.append(pickle.loads(reader.recv(1000)))
    unbounded.join_thread()
    reader.close()
    assert list(range(MANY)) == numbers


def test_a_put_while_another_thread_closes_the_queue_is_not_lost_without_a_word(unbounded, monkeypatch):
    """The kernel has no room, and the queue is closed before the item can wait here: the put says so."""

    def full_and_closed(packed):
        unbounded.close()
        return False

    monkeypatch.setattr(unbounded, "_send", full_and_closed)
    with pytest.raises(ValueError, match="closed in this process"):
        unbounded.put("item")


def test_a_put_whose_slots_another_thread_closes_at_that_moment(transport, monkeypatch):
    """It has not been put, and the put says why."""
    bounded, read = SafeQueue(3), os.read

    def closed_before(fd, size):
        bounded.close()
        return read(fd, size)

    monkeypatch.setattr(os, "read", closed_before)
    with pytest.raises(ValueError, match="maxsize=3 closed> is closed in this process"):
        bounded.put("item")


def test_what_nobody_can_take_is_let_go(unbounded):
    """No other process has the queue: nothing is left running for it after close()."""
    for number in range(MANY):
        unbounded.put(number)
    feeder = unbounded._feeder
    unbounded.close()
    feeder.join(DEADLINE)
    assert not feeder.is_alive()


def test_the_makers_exit_is_not_held_up():
    """What waits in the process that made the queue does not hold up its exit."""
    program = f"from actors.queue import SafeQueue; q = SafeQueue(); [q.put(n) for n in range({MANY})]"
    subprocess.run([sys.executable, "-c", program], timeout=DEADLINE, check=True)


def test_closing_ends_a_waiting_get(unbounded):
    """A thread in get() does not wait on a closed queue."""
    seen = []

    def get():
        try:
            unbounded.get(timeout=DEADLINE)
        except ValueError as error:
            seen.append(str(error))

    thread = threading.Thread(target=get)
    thread.start()
    unbounded.close()
    thread.join(DEADLINE)
    assert "closed in this process" in seen[0]


def test_threads_share_it(transport):
    """Four writers and four readers: every item once, and each writer's in order."""
    shared, seen = SafeQueue(8), [[] for _ in range(4)]

    def write(writer):
        for number in range(300):
            shared.put((writer, number))

    def read(into):
        while (item := shared.get()) is not None:
            into.append(item)

    readers = [threading.Thread(target=read, args=(into,)) for into in seen]
    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join(DEADLINE)
    for _ in readers:
        shared.put(None)
    for thread in readers:
        thread.join(DEADLINE)
    assert sorted((w, n) for w in range(4) for n in range(300)) == sorted(itertools.chain(*seen))
    for into in seen:
        for writer in range(4):
            mine = [number for who, number in into if who == writer]
            assert sorted(mine) == mine
    shared.close()


def test_descriptors_go_with_the_object(transport):
    """What was forgotten without close(), large items included, leaves no descriptor behind."""
    before = open_descriptors()
    for _ in range(20):
        made = SafeQueue(3)
        made.put(b"x" * 100_000)
        made.put(b"x" * 100_000)
        made.get()
    del made
    assert before == open_descriptors()


def test_no_descriptor_left(monkeypatch):
    """Short of descriptors, an item waits here until there is one again."""
    made, failures = SafeQueue(), [True, True]
    anonymous = actors.queue.packets._anonymous_file

    def failing():
        if failures:
            failures.pop()
            raise OSError(24, "too many open files")
        return anonymous()

    monkeypatch.setattr(actors.queue.packets, "_anonymous_file", failing)
    made.put(b"x" * 100_000)
    made.put("next")
    assert made.get(timeout=DEADLINE) == b"x" * 100_000
    assert made.get(timeout=DEADLINE) == "next"
    made.close()


def test_repr_shows_the_state():
    """The state is in the repr."""
    made = SafeQueue(3)
    assert repr(made) == "<SafeQueue maxsize=3 open>"
    made.close()
    assert repr(made) == "<SafeQueue maxsize=3 closed>"


def test_pickling_is_for_spawning(unbounded):
    """As with every multiprocessing object, it travels by inheritance only."""
    with pytest.raises(RuntimeError, match="through inheritance"):
        pickle.dumps(unbounded)


@pytest.mark.processes
def test_there_and_back(transport):
    """Both directions between processes, small and large, with a bound on the way out."""
    there, back = SafeQueue(4), SafeQueue()
    items = [*range(50), b"x" * 300_000, "last"]
    with running(children.echo, there, back) as process:
        for item in items:
            there.put(item, timeout=DEADLINE)
        there.put(None)
        assert items == [back.get(timeout=DEADLINE) for _ in items]
        process.join(DEADLINE)
        assert process.exitcode == 0


@pytest.mark.processes
def test_a_process_waits_for_a_place(transport):
    """Back-pressure reaches another process: it cannot finish before we have taken."""
    narrow, told = SafeQueue(3), SPAWN.Event()
    with running(children.put_numbers_and_tell, narrow, 50, told):
        assert [narrow.get(timeout=DEADLINE) for _ in range(3)] == [0, 1, 2]
        assert not told.is_set()
        assert list(range(3, 50)) == [narrow.get(timeout=DEADLINE) for _ in range(3, 50)]
        assert told.wait(DEADLINE)


@pytest.mark.processes
def test_a_spawned_process_exits_after_its_items():
    """What the kernel did not hold at the child's exit arrives all the same."""
    made = SafeQueue()
    with running(children.put_numbers, made, MANY) as process:
        assert list(range(MANY)) == [made.get(timeout=DEADLINE) for _ in range(MANY)]
        process.join(DEADLINE)
        assert process.exitcode == 0
