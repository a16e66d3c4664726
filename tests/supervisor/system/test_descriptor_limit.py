"""Descriptors: a daemon whose limit is too low for its tree hears of it before the tree starts."""

from __future__ import annotations

import resource

import pytest

from supervisor import ChildSpec, Supervisor
from supervisor.system.descriptor_limit import PER_PROCESS, PER_TREE, needed_for, shortage
from tests.support.actors import Common


@pytest.fixture
def limit():
    """Sets the soft limit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda soft: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_needed():
    assert PER_TREE + 3 * PER_PROCESS == needed_for(3)


def test_a_shortage(limit):
    """What is needed counts what is open already."""
    limit(512)
    assert shortage(10) is None
    needed, most = shortage(100)
    assert 512 == most < needed_for(100) < needed


async def test_it_is_told_once(limit, logs):
    """The line names both numbers; the tree starts all the same."""
    limit(256)
    async with Supervisor(ChildSpec(Common, name="a"), spares=100) as root:
        root._launcher.wind_down()
    (line,) = [line for line in logs if line["event"] == "descriptors.short"]
    assert ("warning", "/root", 256) == (line["log_level"], line["supervisor"], line["limit"])
    assert line["needed"] > 256
    assert "ulimit -n" in line["detail"]
