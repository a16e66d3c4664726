"""A value beside a message that the daemon cannot read has a told fate, and holds up nothing else."""

from __future__ import annotations

import contextlib
import errno
import resource
import sys

import numpy as np
import pytest

from actors import ActorCrashed, Shared
from actors.ipc import shared_memory
from supervisor import ChildSpec, Supervisor
from supervisor.store import SQLiteStore, StoreError
from tests.support.sharers import SIZE, Album, AskToSwell, Give, Keep, Kept, Relayer, Swell
from tests.support.waiting import until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="memfd is Linux's"),
]
ENOUGH = 60.0
SUM = SIZE / 8
NO_ROOM = "a value of the message cannot be read, so it was not stored: [Errno 12] Cannot allocate memory"


def tree(tmp_path, *others):
    album = ChildSpec(Album, name="album", durable=True)
    return Supervisor(album, *others, store=SQLiteStore(tmp_path / "kept.db", sync="normal"), spares=0)


def ones():
    return Shared.of(np.ones(SIZE // 8))


@contextlib.contextmanager
def no_descriptor():
    """This process gets no other descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def why_not(sending):
    """The text of its error; no traceback is kept, whose frames would have the value."""
    try:
        await sending
    except StoreError as error:
        return str(error)
    return ""


async def test_its_sender_in_the_daemon_hears_that(tmp_path, monkeypatch):
    """Each way to send: alone, with a key, later, among many; what comes after is stored as ever."""
    mapped, values = shared_memory._mapped, [ones() for _ in range(7)]
    unread = {value.carried().fileno() for value in values[:6]}

    def without_room(fd, size):
        if fd in unread:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return mapped(fd, size)

    monkeypatch.setattr(shared_memory, "_mapped", without_room)
    async with tree(tmp_path) as root:
        album = root["album"]
        for sent in (
            album.tell(Keep(values[0])),
            album.ask(Keep(values[1]), timeout=ENOUGH),
            album.ask(Keep(values[2]), key="second", timeout=ENOUGH),
            album.tell(Keep(values[3]), delay=0.01),
            album.tell_many([Keep(values[6]), Keep(values[4])]),
        ):
            assert NO_ROOM in await why_not(sent)
        kept, lost = map(str, await album.ask_many([Keep(values[6]), Keep(values[5])], timeout=ENOUGH))
        assert ("2", True) == (kept, NO_ROOM in lost)
        assert 3 == await album.ask(Keep(values[6]), key="second", timeout=ENOUGH)
        assert 3 * [SUM] == await album.ask(Kept())
        assert root["album"]._mailbox.stored.quiet


async def test_its_sender_in_an_actor_hears_that(tmp_path):
    """An actor that is not durable; what a durable one sends is held until then, and is refused at once, too."""
    others = ChildSpec(Relayer, name="relayer"), ChildSpec(Relayer, name="noted", durable=True)
    async with tree(tmp_path, *others) as root:
        for name in ("relayer", "noted"):
            assert "given" == await root[name].ask(Give("album"), timeout=ENOUGH)  # it is connected, see `Descriptors`
            with no_descriptor():
                said = await root[name].ask(Give("album"), timeout=ENOUGH)
            assert "the daemon had no descriptor left for a value in shared memory of" in said
            with no_descriptor():  # to a name that nobody has, of which the store would keep a dead letter
                assert "/root/nobody" in await root[name].ask(Give("nobody"), timeout=ENOUGH)
        await until(lambda: not root["album"]._mailbox.depth)
        assert 2 * [SUM] == await root["album"].ask(Kept())


async def test_a_reply_that_the_daemon_cannot_map_is_an_error(tmp_path, monkeypatch):
    """As one whose descriptor did not arrive."""

    def without_room(*_):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    async with tree(tmp_path, ChildSpec(Relayer, name="relayer")) as root:
        monkeypatch.setattr(shared_memory, "_mapped", without_room)
        said = await root["relayer"].ask(AskToSwell("album"), timeout=ENOUGH)
        assert "/root/album handled Swell, and its reply cannot be read, so it is not stored" in said
        assert {"handled_unanswered": 1} == root.snapshot().children[0].fates
        await root["album"]._mailbox.stored.settled()


async def test_a_reply_that_the_daemon_cannot_read_is_an_error(tmp_path):
    """Of who asked; the message is over in the store, and the actor goes on."""
    async with tree(tmp_path, ChildSpec(Relayer, name="relayer")) as root:
        assert f"{2 * SIZE} bytes" == await root["relayer"].ask(AskToSwell("album"), timeout=ENOUGH)
        with no_descriptor():
            said = await root["relayer"].ask(AskToSwell("album"), timeout=ENOUGH)
        assert "/root/album has handled Swell, and what it replied was lost: the daemon had no descriptor" in said
        assert f"{2 * SIZE} bytes" == await root["relayer"].ask(AskToSwell("album"), timeout=ENOUGH)
        assert 5 == len(await root["album"].ask(Swell(5)))
        assert 1 == root.snapshot().children[0].life
        with contextlib.suppress(ActorCrashed):
            await root["album"]._mailbox.stored.settled()
        assert not root["album"]._mailbox.depth
    async with tree(tmp_path) as root:
        assert [] == await root.store.mailboxes()
