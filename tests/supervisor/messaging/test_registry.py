"""Directory: which mailbox has which path."""

from __future__ import annotations

import pytest

from actors import NoSuchActor
from supervisor.messaging.registry import Registry


@pytest.fixture
def registry():
    made = Registry()
    for path in ("/root/indexer", "/root/parser", "/root/inner/parser"):
        made.add(path, object())
    return made


def test_find(registry):
    """A path leads to what was added under it."""
    mailbox = object()
    registry.add("/root/x", mailbox)
    assert mailbox is registry.find("/root/x")
    assert ["/root/indexer", "/root/parser", "/root/inner/parser", "/root/x"] == registry.paths()


def test_names_that_come_near(registry):
    """A typing mistake is answered with what was meant."""
    with pytest.raises(NoSuchActor, match="no actor has the path /root/indxer; did you mean /root/indexer"):
        registry.find("/root/indxer")


def test_nothing_comes_near(registry):
    """Then what there is is listed."""
    with pytest.raises(NoSuchActor, match="there are: /root/indexer, /root/inner/parser, /root/parser"):
        registry.find("q")


@pytest.mark.parametrize("name", ["\ud800", "indexer\n", "\x1b[31m"])
def test_a_name_that_cannot_be_printed(registry, name):
    """The text quotes it, so that a log can take it."""
    with pytest.raises(NoSuchActor) as refused:
        registry.find(f"/root/{name}")
    assert str(refused.value).isprintable()
    assert ascii(f"/root/{name}") in str(refused.value)


def test_an_empty_directory():
    """It says so."""
    with pytest.raises(NoSuchActor, match="there are: none"):
        Registry().find("/root/x")


def test_remove_only_ones_own(registry):
    """A path that belongs to another by now is not taken from it."""
    old, new = object(), object()
    registry.add("/root/x", old)
    registry.add("/root/x", new)
    registry.remove("/root/x", old)
    assert new is registry.find("/root/x")
    registry.remove("/root/x", new)
    with pytest.raises(NoSuchActor):
        registry.find("/root/x")
    registry.remove("/root/x", new)
