"""Pipes: enlarged within a share of their user's limit, and small where they carry next to nothing."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import pytest

from supervisor.system import pipe_budget
from supervisor.system.pipe_budget import CAPACITY, PipeBudget, fit, user_limit, widen

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has pipes of any size")


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for fd in ends:
        os.close(fd)


def size(fd):
    return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)


def test_a_budget():
    """What is taken is not there for others until it is given back."""
    budget = PipeBudget(10)
    assert budget.take(6)
    assert not budget.take(6)
    budget.give_back(6)
    assert budget.take(10)


def test_a_budget_without_a_bound():
    assert PipeBudget(None).take(10**12)


@pytest.mark.parametrize(
    ("text", "pages"), [("16384\n", 16384), ("0\n", None), ("what\n", None)], ids=["limit", "none", "no number"]
)
def test_the_limit_of_a_user(tmp_path, text, pages):
    """The kernel counts pages, and 0 is no limit."""
    path = tmp_path / "limit"
    path.write_text(text)
    assert (pages and pages * os.sysconf("SC_PAGE_SIZE")) == user_limit(path)


def test_no_limit_to_be_read(tmp_path):
    assert user_limit(tmp_path / "limit") is None


def test_widened_within_the_budget(pipe, monkeypatch):
    """Beyond it a pipe stays as it is, and nothing is to be given back."""
    plain = size(pipe[0])
    monkeypatch.setattr(pipe_budget, "BUDGET", PipeBudget(CAPACITY))
    assert 0 == widen(*pipe)
    assert plain == size(pipe[0])
    assert CAPACITY == widen(pipe[0])
    assert CAPACITY == size(pipe[0])


@pytest.mark.parametrize("wanted", [0, 4096, 4097, 100_000])
def test_fitted(pipe, wanted):
    """It holds at least what is wanted, in one piece."""
    assert fit(pipe[1], wanted)
    assert wanted <= size(pipe[0]) <= max(2 * wanted, os.sysconf("SC_PAGE_SIZE"))
    os.set_blocking(pipe[1], False)
    assert wanted == (os.write(pipe[1], bytes(wanted)) if wanted else 0)


def test_what_is_no_pipe():
    """It stays as it is, without a word."""
    with Path(os.devnull).open("rb") as file:
        assert not fit(file.fileno(), CAPACITY)
