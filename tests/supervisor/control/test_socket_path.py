"""Where control sockets are, and whose they must be."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from actors.errors import UsageError
from supervisor.control import socket_path
from supervisor.ctl.daemons import chosen, daemons
from supervisor.ctl.errors import NoDaemon
from supervisor.testing import ScriptedSupervisor
from tests.support.control import own_runtime


@pytest.fixture
def runtime(monkeypatch):
    with own_runtime(monkeypatch) as folder:
        yield folder


async def test_auto_is_in_the_runtime_directory(runtime):
    async with ScriptedSupervisor(control="auto"), ScriptedSupervisor(control="auto"):
        folder = runtime / "actors"
        assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
        names = {f"{os.getpid()}-root.sock", f"{os.getpid()}-root-2.sock"}
        assert names == {path.name for path in folder.iterdir()}
    assert [] == list(folder.iterdir())


async def test_a_socket_elsewhere_is_found_by_a_link(runtime):
    async with ScriptedSupervisor(control=runtime / "elsewhere.sock", name="shop"):
        (link,) = (runtime / "actors").iterdir()
        assert (f"{os.getpid()}-shop.sock", runtime / "elsewhere.sock") == (link.name, link.readlink())
    assert [] == list((runtime / "actors").iterdir())


def test_a_name_of_odd_letters_is_a_file_name(runtime):
    door = socket_path.open_door("auto", "a b/../ü" * 50)
    assert door.path.parent == runtime / "actors"
    assert len(door.path.name) < 80
    door.close()


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o710])
def test_a_directory_that_is_open_to_others_is_refused(runtime, mode):
    folder = runtime / "actors"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(UsageError, match="is open to others"):
        socket_path.open_door("auto", "root")
    assert [] == socket_path.sockets()


def test_a_link_in_place_of_the_directory_is_refused(runtime):
    (runtime / "actors").symlink_to("/tmp")
    with pytest.raises(UsageError, match="is not a directory"):
        socket_path.open_door("auto", "root")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_directory_of_another_user_is_refused(runtime):
    folder = runtime / "actors"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    with pytest.raises(UsageError, match="belongs to the user 65534"):
        socket_path.open_door("auto", "root")
    assert [] == socket_path.sockets()


def test_a_runtime_directory_that_is_not_ours_is_not_used(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/usr")
    assert [f"actors-{os.geteuid()}"] == [folder.name for folder in socket_path.folders()]


def test_sockets_of_dead_daemons_are_removed_by_a_look(runtime):
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    folder = socket_path.own_folder()
    stale = folder / f"{process.pid}-root.sock"
    stale.touch()
    (folder / "notes.sock").touch()
    assert ["notes.sock"] == [daemon.path.name for daemon in daemons()]
    assert not stale.exists()


def test_no_daemon_says_where_it_has_looked(runtime):
    with pytest.raises(NoDaemon, match=f"looked in {runtime}/actors"):
        chosen(None)
    with pytest.raises(NoDaemon, match="no daemon of yours is '12'"):
        chosen("12")


def test_a_daemon_is_chosen_by_pid_tree_or_path(runtime):
    folder = socket_path.own_folder()
    (folder / "7-shop.sock").touch()
    (folder / "8-mill.sock").touch()
    assert folder / "7-shop.sock" == chosen("7") == chosen("shop") == chosen("/shop")
    assert Path("/run/x.sock") == chosen("/run/x.sock")
