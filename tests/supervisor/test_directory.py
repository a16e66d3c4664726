"""Directory: which mailbox has which path."""

from __future__ import annotations

import pytest

from actors import NoSuchActor
from supervisor.directory import Directory


@pytest.fixture
def directory():
    made = Directory()
    for path in ("/root/indexer", "/root/parser", "/root/inner/parser"):
        made.add(path, object())
    return made


def test_find(directory):
    """A path leads to what was added under it."""
    mailbox = object()
    directory.add("/root/x", mailbox)
    assert mailbox is directory.find("/root/x")
    assert ["/root/indexer", "/root/parser", "/root/inner/parser", "/root/x"] == directory.paths()


def test_names_that_come_near(directory):
    """A typing mistake is answered with what was meant."""
    with pytest.raises(NoSuchActor, match="nobody has the path /root/indxer; did you mean /root/indexer"):
        directory.find("/root/indxer")


def test_nothing_comes_near(directory):
    """Then what there is is listed."""
    with pytest.raises(NoSuchActor, match="there are: /root/indexer, /root/inner/parser, /root/parser"):
        directory.find("q")


def test_an_empty_directory():
    """It says so."""
    with pytest.raises(NoSuchActor, match="there are: none"):
        Directory().find("/root/x")


def test_remove_only_ones_own(directory):
    """A path that belongs to another by now is not taken from it."""
    old, new = object(), object()
    directory.add("/root/x", old)
    directory.add("/root/x", new)
    directory.remove("/root/x", old)
    assert new is directory.find("/root/x")
    directory.remove("/root/x", new)
    with pytest.raises(NoSuchActor):
        directory.find("/root/x")
    directory.remove("/root/x", new)
