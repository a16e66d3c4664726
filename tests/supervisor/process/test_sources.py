"""The sources of processes that start one after the other are looked up once, while they are the same."""

from __future__ import annotations

import importlib
import sys

import pytest

from supervisor.process.spawn.sources import Sources, sources_now
from supervisor.shadowing import found_first
from tests.support.racing import meanwhile


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The file of a module that is imported."""
    file = tmp_path / "ours_to_change.py"
    file.write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module(file.stem)
    yield file
    del sys.modules[file.stem]


def test_the_same_while_nothing_changes(module):
    first = sources_now((module.stem,), None)
    assert str(module) in first
    assert first is sources_now((module.stem,), first)


def test_new_ones_once_a_file_has_changed(module):
    first = sources_now((module.stem,), None)
    module.write_text("changed = True")
    second = sources_now((module.stem,), first)
    assert second is not first
    assert second.unchanged


def test_new_ones_for_another_module(module):
    first = Sources((module.stem,))
    assert sources_now(("json",), first) is not first


def test_new_ones_once_the_daemon_has_imported_another_module(module, monkeypatch):
    first = Sources((module.stem,))
    monkeypatch.setitem(sys.modules, "another_of_ours", importlib.import_module("json"))
    assert sources_now((module.stem,), first) is not first


def test_modules_that_other_threads_import_meanwhile(module):
    """They are no reason for a start to fail."""

    def come_or_go(name):
        if sys.modules.pop(name, None) is None:
            sys.modules[name] = sys

    with meanwhile(come_or_go):
        for _ in range(3):
            Sources((module.stem,))
            assert found_first() is None
    for name in [name for name, found in list(sys.modules.items()) if found is sys and name != "sys"]:
        del sys.modules[name]
