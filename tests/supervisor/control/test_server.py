"""The control socket: what a client may do to it, and what it may not do to the loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import sys

import pytest

from actors.errors import UsageError
from supervisor import ChildSpec, Strategy
from supervisor.control import connection, readiness, server
from supervisor.control.frames import Failed, Identify, ListDead, ShowEvents, ShowTree, Tree
from supervisor.control.framing import HEAD, MAX_REQUEST, BadFrame, Cutter, framed, read_reply, read_request
from supervisor.control.identity import identity_of
from supervisor.control.look import snapshots
from supervisor.control.operations import Operations
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.ctl.client import connect
from supervisor.ctl.errors import NoDaemon
from supervisor.testing import ScriptedSupervisor
from supervisor.tree.snapshot import SupervisorSnapshot
from tests.support.actors import Puppet
from tests.support.control import raw, short_folder
from tests.support.waiting import DEADLINE, until


@pytest.fixture
def path():
    with short_folder() as folder:
        yield folder / "a.sock"


@pytest.fixture
def no_pause(monkeypatch):
    """Each request for the tree gets a snapshot of its own, at once."""
    monkeypatch.setattr(snapshots, "PAUSE", 0.0)
    monkeypatch.setattr(snapshots, "DISTANCE", 0.0)


@pytest.fixture
async def root(path):
    async with ScriptedSupervisor(
        ChildSpec(Puppet, name="a"), ChildSpec(Puppet, name="b", size=2), control=path
    ) as root:
        yield root


async def replies(client, count=1):
    """The next replies of a raw connection; fewer when it ends."""
    loop, cutter, frames = asyncio.get_running_loop(), Cutter(2**24), []
    async with asyncio.timeout(DEADLINE):
        with contextlib.suppress(ConnectionResetError):
            while len(frames) < count and (data := await loop.sock_recv(client, 65536)):
                frames += cutter.feed(data)
    return [read_reply(frame) for frame in frames]


async def ended(client):
    """Whether the daemon has ended the connection."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(DEADLINE):
        with contextlib.suppress(ConnectionResetError):
            while await loop.sock_recv(client, 65536):
                pass
    return True


async def still_serves(path):
    with raw(path) as client:
        client.send(framed(Identify()))
        (identity,) = await replies(client)
        assert os.getpid() == identity.pid


async def test_the_socket_is_its_users_alone(root, path):
    """Mode 0600, in whatever directory; it goes when the tree goes."""
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    await still_serves(path)


async def test_a_follower_reads_when_it_happened(root, path):
    """However late it reads: the time is that of the event, and the same as for those who ask later."""
    engine = root._engine
    operations = Operations(engine)
    following = operations.serve(ShowEvents(0, follow=True))
    begun = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    await root.recycle("a")
    asked = [read_reply(frame[HEAD:]) async for frame in operations.serve(ShowEvents(100))][:-1]
    await asyncio.sleep(0.05)
    read = [read_reply(frame[HEAD:]) for frame in (await begun, *[await anext(following) for _ in asked[1:]])]
    assert asked
    assert [one.at for one in asked] == [one.at for one in read]
    operations.close()
    await following.aclose()


async def test_it_goes_with_the_tree(path):
    async with ScriptedSupervisor(control=path):
        assert path.exists()
    assert not path.exists()
    with pytest.raises(NoDaemon, match="no daemon listens at"):
        connect(path)


async def test_without_the_argument_there_is_none(path):
    async with ScriptedSupervisor(ChildSpec(Puppet)):
        assert [] == list(path.parent.iterdir())


async def test_a_client_sees_the_tree(root, path):
    def look():
        with connect(path) as daemon:
            return daemon.identify(), daemon.tree()

    identity, tree = await asyncio.to_thread(look)
    assert ("/root", 3, 3) == (identity.tree, identity.children, identity.running)
    assert ["/root/a", "/root/b/0", "/root/b/1"] == [child.path for child in tree.root.children]


async def test_a_command_line_and_a_directory_that_are_no_unicode(root, path, monkeypatch):
    """Their bytes are quoted: a daemon with such an argument can be operated as any other."""
    odd = path.parent / os.fsdecode(b"\xfe")
    odd.mkdir()
    monkeypatch.chdir(odd)
    monkeypatch.setattr(sys, "orig_argv", ["python", os.fsdecode(b"\xff.py")])

    def look():
        with connect(path) as daemon:
            return daemon.identify()

    identity = await asyncio.to_thread(look)
    assert (("python", r"\udcff.py"), f"{path.parent}/\\udcfe") == (identity.argv, identity.cwd)


def test_the_command_line_of_a_spawned_worker(monkeypatch):
    """That of its program, as of uvicorn with two workers, not what multiprocessing has executed."""
    spawned = ["python", "-c", "from multiprocessing.spawn import spawn_main; ...", "--multiprocessing-fork"]
    monkeypatch.setattr(sys, "orig_argv", spawned)
    monkeypatch.setattr(sys, "argv", ["bin/uvicorn", "app:app", "--workers", "2"])
    tree = SupervisorSnapshot(
        name="root",
        path="/root",
        state=ChildState.RUNNING,
        phase=SupervisorState.RUNNING,
        strategy=Strategy.ONE_FOR_ONE,
        life=1,
        uptime=None,
        next_try=None,
        restarts=0,
        budget=3,
        spares=0,
        children=(),
        last_exit=None,
    )
    assert ("python", "bin/uvicorn", "app:app", "--workers", "2") == identity_of(tree, 0.0).argv


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 100,
        (MAX_REQUEST + 1).to_bytes(HEAD, "big"),
    ],
    ids=["http", "noise", "too long"],
)
async def test_what_has_no_length_is_refused_and_ends_the_connection(root, path, data):
    """Nothing after it could be read."""
    with raw(path) as client:
        client.send(data)
        (reply,) = await replies(client)
        assert isinstance(reply, Failed)
        assert await ended(client)
    await still_serves(path)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"\x81\xa4type\xa9Nonsense!",
        b"\xdf\xff\xff\xff\xff",
        b"\x91" * 5000,
        b"\x81\xa4type\xa4\xff\xff\xff\xff",
    ],
)
async def test_a_frame_that_is_no_request_gets_an_error_and_the_next_is_served(root, path, frame):
    with raw(path) as client:
        client.send(len(frame).to_bytes(HEAD, "big") + frame + framed(ShowTree()))
        failed, tree = await replies(client, 2)
        assert isinstance(failed, Failed)
        assert isinstance(tree, Tree)


async def test_half_a_frame_is_dropped_in_time(path, monkeypatch):
    """It is neither answered nor waited for."""
    monkeypatch.setattr(connection, "IDLE", 0.05)
    monkeypatch.setattr(server, "SWEEP", 0.01)
    async with ScriptedSupervisor(control=path):
        with raw(path) as client:
            client.send(framed(ShowTree())[:-1])
            assert await ended(client)
        await still_serves(path)


async def test_a_frame_may_come_byte_by_byte(root, path):
    with raw(path) as client:
        for byte in framed(ShowTree()):
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        (reply,) = await replies(client)
        assert isinstance(reply, Tree)


async def test_a_client_that_never_reads_is_dropped(root, path, monkeypatch, no_pause):
    """What waits for it is bounded."""
    monkeypatch.setattr(connection, "STALL", 0.05)
    monkeypatch.setattr(connection, "HELD", 1024)
    monkeypatch.setattr(server, "SWEEP", 0.01)
    with raw(path) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        served = root._control_server
        async with asyncio.timeout(DEADLINE):
            while served._connections or not client:
                with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                    client.send(framed(ShowTree()))
                await asyncio.sleep(0)
    await still_serves(path)


async def test_a_client_that_reads_late_gets_all(root, path, monkeypatch, no_pause):
    """Its requests wait while it does not read."""
    monkeypatch.setattr(connection, "HELD", 1024)
    with raw(path) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        sent = 0
        await until(lambda: root._control_server._connections)
        (served,) = root._control_server._connections
        while not served._stuck:
            client.send(framed(ShowTree()))
            sent += 1
            await asyncio.sleep(0.001)  # and it has read that
            await until(lambda: not served._busy or served._stuck)
        client.send(framed(Identify()))
        assert [Tree] * sent == [type(one) for one in await replies(client, sent)]
        (identity,) = await replies(client)
        assert os.getpid() == identity.pid


async def test_too_many_requests_at_once_end_the_connection(root, path):
    with raw(path) as client:
        client.send(framed(ShowTree()) * (connection.PIPELINE + 2))
        assert await ended(client)
    await still_serves(path)


@pytest.mark.parametrize("frame", [b"", framed(ListDead())[HEAD:]])
async def test_requests_that_are_too_many_are_not_even_decoded(root, path, monkeypatch, frame):
    """However many come at once, a turn of the loop decodes one."""
    decoded = []
    monkeypatch.setattr(connection, "read_request", lambda data: decoded.append(data) or read_request(data))
    with raw(path) as client:
        client.send((len(frame).to_bytes(HEAD, "big") + frame) * 4000)
        (reply,) = await replies(client)
        assert "requests at once" in reply.text
        assert await ended(client)
    assert [] == decoded
    await still_serves(path)


async def test_two_hundred_clients_are_served(root, path, monkeypatch):
    """Between any few of them the loop does other things; here the time of a turn is over after one."""
    monkeypatch.setattr(readiness, "BUDGET", 0.0)
    monkeypatch.setattr(readiness, "REST", 0.0)
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(raw(path)) for _ in range(200)]  # at once: the loop has no turn meanwhile
        await until(lambda: len(root._control_server._connections) == len(clients))
        before = turns
        for client in clients:
            client.send(framed(ShowTree()))
        for client in clients:
            (reply,) = await replies(client)
            assert isinstance(reply, Tree)
        assert turns - before >= 200
    counting.cancel()


async def test_one_client_more_than_the_most_is_turned_away(root, path, monkeypatch):
    monkeypatch.setattr(server, "MOST", 1)
    with raw(path) as first:
        first.send(framed(Identify()))
        assert await replies(first)
        with raw(path) as second:
            (reply,) = await replies(second)
            assert isinstance(reply, Failed)
            assert "1 clients are connected" in reply.text
    await until(lambda: not root._control_server._connections)
    await still_serves(path)


async def test_another_user_is_not_let_in(root, path, monkeypatch):
    """His connection ends before he is answered."""
    monkeypatch.setattr(server, "may_control", lambda uid: False)
    with raw(path) as client:
        client.send(framed(ShowTree()))
        assert [] == await replies(client)


async def test_the_system_has_no_descriptor_left_for_a_client(root, path, monkeypatch):
    """No new client for a moment; those that are there are served, and later ones again."""
    monkeypatch.setattr(server, "PAUSE", 0.01)
    control, refusals = root._control_server, []

    class Full:
        def fileno(self):
            return listener.fileno()

        def accept(self):
            if len(refusals) < 3:
                refusals.append(1)
                raise OSError(24, "Too many open files")
            return listener.accept()

    listener = control._door.listener
    control._door = control._door._replace(listener=Full())
    await still_serves(path)
    assert 3 == len(refusals)
    control._door = control._door._replace(listener=listener)


@pytest.mark.parametrize(
    ("control", "words"),
    [
        (3, "control must be 'auto', the path of a socket, or None; it is 3"),
        ("", "control must be 'auto'"),
        ("/tmp/" + "x" * 120, "has at most 107"),
    ],
)
async def test_what_cannot_be_a_socket_is_refused(control, words):
    with pytest.raises(UsageError, match=words):
        ScriptedSupervisor(control=control)


async def test_a_second_tree_at_the_same_path_is_refused(root, path):
    with pytest.raises(UsageError, match="another daemon listens there"):
        async with ScriptedSupervisor(control=path):
            pass
    await still_serves(path)


async def test_a_name_that_is_no_unicode_is_told(root, path):
    """It came from a command line; nothing is sent, and the connection stays."""

    def look():
        with connect(path) as daemon:
            with pytest.raises(UsageError, match=r"'a\\udcff' is not a text"):
                daemon.why("a\udcff")
            return daemon.identify().pid

    assert os.getpid() == await asyncio.to_thread(look)


async def test_a_file_that_is_no_socket_stays(path):
    path.write_text("mine")
    with pytest.raises(UsageError, match="is not a socket"):
        async with ScriptedSupervisor(control=path):
            pass
    assert "mine" == path.read_text()


async def test_the_socket_of_a_dead_daemon_is_replaced(path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with ScriptedSupervisor(control=path):
        await still_serves(path)


async def test_a_directory_that_is_not_there_is_said(path):
    with pytest.raises(OSError, match="control socket .*: No such file or directory"):
        async with ScriptedSupervisor(control=path.parent / "nowhere" / "a.sock"):
            pass


def test_no_more_frames_are_cut_than_wanted():
    """The others come with the next bytes."""
    cutter = Cutter(16)
    assert [b"", b""] == cutter.feed(bytes(4 * HEAD), 2)
    assert [b"", b""] == cutter.feed(b"")
    assert [] == cutter.feed(b"")


def test_frames_are_cut_wherever_the_bytes_are_cut():
    data = framed(Identify()) + framed(ShowTree())
    for at in range(len(data) + 1):
        cutter = Cutter(MAX_REQUEST)
        assert 2 == len(cutter.feed(data[:at]) + cutter.feed(data[at:]))
        assert [] == cutter.feed(b"")
    with pytest.raises(BadFrame, match="the most is 10"):
        Cutter(10).feed(b"\0\0\0\x0b")


async def test_a_loop_that_watches_each_client_itself(path, monkeypatch):
    """Where there is no epoll, all is the same."""
    monkeypatch.delattr("select.epoll")
    async with ScriptedSupervisor(ChildSpec(Puppet, name="a"), control=path):
        with raw(path) as client:
            client.send(framed(ShowTree()) * 3)
            assert 3 == len(await replies(client, 3))
        await still_serves(path)
