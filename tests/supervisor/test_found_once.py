"""What a new process would import: known as long as nothing changes that an import depends on."""

import os
import sys

import pytest

from actors import UsageError
from actors.puppet import Puppet
from supervisor.spawnable import check_importable, search
from supervisor.spawnable.search import is_found, known_now


def can_be_found(module):
    return is_found(module, known_now())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return tmp_path


@pytest.fixture
def searches(monkeypatch):
    """How often a finder was asked."""
    found = []

    class Counts:
        def find_spec(self, name, path=None, target=None):
            found.append(name)

    monkeypatch.setattr(sys, "meta_path", [Counts(), *sys.meta_path])
    return found


def at_another_time(folder):
    """What was just done in a folder was done in another tick of the file system's clock than what came before."""
    os.utime(folder, (0, folder.stat().st_mtime + 1))


def test_what_is_known_is_not_searched_again(folder, searches):
    """A suite makes thousands of specs of the same classes."""
    (folder / "onceonly").mkdir()
    (folder / "onceonly" / "shop.py").touch()
    for _ in range(3):
        assert can_be_found("onceonly.shop")
        check_importable(Puppet)
    assert ["onceonly", "onceonly.shop", "actors", "supervisor", "actors", "actors.puppet"] == searches


def test_what_is_not_found_is_searched_again(folder):
    """The user mends it meanwhile."""
    assert not can_be_found("latecomer")
    (folder / "latecomer.py").touch()
    at_another_time(folder)
    assert can_be_found("latecomer")


def test_what_is_removed_is_not_found_any_more(folder):
    """A module of the path, and one in a package, whose folder is not on the path."""
    (folder / "leaving").mkdir()
    for file in ("alone.py", "leaving/shop.py"):
        (folder / file).touch()
    assert can_be_found("alone")
    assert can_be_found("leaving.shop")
    (folder / "leaving" / "shop.py").unlink()
    at_another_time(folder / "leaving")
    assert not can_be_found("leaving.shop")
    (folder / "alone.py").unlink()
    at_another_time(folder)
    assert not can_be_found("alone")


def test_a_file_that_comes_before_ours_later(folder, monkeypatch):
    """In a directory that was on the path before, or by a path that changes."""
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    check_importable(Puppet)
    (folder / "supervisor.py").touch()
    at_another_time(folder)
    with pytest.raises(UsageError, match="in place of this library's package supervisor"):
        check_importable(Puppet)
    sys.path.remove(str(folder))
    check_importable(Puppet)


def test_the_working_directory(tmp_path, monkeypatch):
    """The empty entry of the path is another directory after a chdir."""
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "fromhere.py").touch()
    (tmp_path / "two").mkdir()
    monkeypatch.chdir(tmp_path / "one")
    assert can_be_found("fromhere")
    monkeypatch.chdir(tmp_path / "two")
    assert not can_be_found("fromhere")


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Each test begins knowing nothing."""
    monkeypatch.setattr(search, "_LAST", [([], {})])
