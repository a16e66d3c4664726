"""Channel: the child's end of its connection to the daemon."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

import pytest

from actors.errors import FrameTooLarge
from actors.event import SafeEvent
from actors.exits import EXIT_CUT, EXIT_ORPHANED
from actors.ipc.channel import CHUNK, JOIN_BELOW, Channel
from actors.ipc.pipes import Duplex
from actors.wire.framing import MAX_FRAME, Framer, header
from tests.support.spawning import DEADLINE, SPAWN


@pytest.fixture
def ends():
    daemon, child = Duplex.pair()
    yield daemon, Channel(child)
    daemon.close()
    child.close()


def read_frames(end, count):
    framer, frames = Framer(), []
    while len(frames) < count:
        frames += framer.feed(end.recv(CHUNK))
    return frames


@pytest.mark.parametrize("size", [0, 1, JOIN_BELOW - 1, JOIN_BELOW, 5 * CHUNK])
def test_send(ends, size):
    """Frames of any size arrive whole and in order."""
    daemon, channel = ends
    data = bytes(range(256)) * (size // 256 + 1)
    sender = threading.Thread(target=lambda: (channel.send(data[:size]), channel.send(b"last")))
    sender.start()
    assert [data[:size], b"last"] == read_frames(daemon, 2)
    sender.join(DEADLINE)


def test_receive(ends):
    """Everything that is there comes at once, in order."""
    daemon, channel = ends
    daemon.send_all(header(1) + b"a" + header(2) + b"bc" + header(3))
    assert [b"a", b"bc"] == channel.receive()
    daemon.send_all(b"def")
    assert [b"def"] == channel.receive()


def test_the_end_of_the_daemon(ends):
    """Its end is an empty list, and it stays one."""
    daemon, channel = ends
    daemon.send_all(header(5) + b"ha")
    daemon.close()
    assert [] == channel.receive()
    assert [] == channel.receive()


def test_too_large(ends):
    """A frame over the limit is refused."""
    daemon, channel = ends
    daemon.send_all(header(MAX_FRAME + 1))
    with pytest.raises(FrameTooLarge):
        channel.receive()


def test_readable(ends):
    """Whether there is something to read, within a time."""
    daemon, channel = ends
    assert not channel.readable(0)
    assert not channel.readable(-1)
    assert not channel.readable(0.001)
    daemon.send_all(header(1) + b"a")
    assert channel.readable(0)
    assert channel.readable(None)
    assert channel.fileno() == channel.duplex.incoming


def test_threads_do_not_mix_their_frames(ends):
    """Any thread may send; each frame stays whole."""
    daemon, channel = ends
    frames = [bytes([number]) * (JOIN_BELOW + number) for number in range(8)]

    def send(frame):
        for _ in range(20):
            channel.send(frame)

    threads = [threading.Thread(target=send, args=(frame,)) for frame in frames]
    for thread in threads:
        thread.start()
    received = read_frames(daemon, 160)
    for thread in threads:
        thread.join(DEADLINE)
    assert sorted(frames * 20) == sorted(received)


def send_for_ever(end: Duplex, begun: SafeEvent) -> None:
    channel = Channel(end)
    channel.send(b"first")
    begun.set()
    while True:
        channel.send(bytes(100_000))


@pytest.mark.processes
def test_a_daemon_that_is_gone_ends_the_process():
    """A child that sends to a daemon that is gone exits, with an exit code of its own."""
    daemon, child = Duplex.pair()
    begun = SafeEvent()
    process = SPAWN.Process(target=send_for_ever, args=(child, begun), daemon=True)
    process.start()
    child.close()
    try:
        assert begun.wait(DEADLINE)
        daemon.close()
        process.join(DEADLINE)
        assert EXIT_ORPHANED == process.exitcode
    finally:
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        process.close()
        begun.close()


def ring(*_: object) -> None:
    raise TimeoutError("the handler of a signal raised this")


def send_until_the_alarm(end: Duplex) -> None:
    channel = Channel(end)
    signal.signal(signal.SIGALRM, ring)
    with contextlib.suppress(TimeoutError):
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        channel.send(bytes(1_000_000))  # nobody reads


@pytest.mark.processes
def test_half_a_frame_ends_the_process(capfd):
    """What interrupts a send is on stderr, and nothing follows half a frame: the exit code says so."""
    daemon, child = Duplex.pair()
    process = SPAWN.Process(target=send_until_the_alarm, args=(child,), daemon=True)
    process.start()
    child.close()
    try:
        process.join(DEADLINE)
        assert EXIT_CUT == process.exitcode
        assert "the handler of a signal raised this" in capfd.readouterr().err
    finally:
        process.kill()
        process.join()
        process.close()
        daemon.close()
