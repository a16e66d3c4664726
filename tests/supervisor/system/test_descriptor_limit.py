"""Descriptors: a daemon whose limit is too low for its tree hears of it before the tree starts."""

from __future__ import annotations

import os
import resource
import sys

import pytest

from supervisor import ChildSpec, Supervisor
from supervisor.system.descriptor_limit import PER_PROCESS, PER_TREE, needed_for, shortage
from tests.support.actors import Common
from tests.support.spawning import open_descriptors
from tests.support.waiting import until


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


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="without a pidfd one more")
async def test_what_a_process_takes():
    """One less than at its start: nothing else is kept for it."""
    each = PER_PROCESS - 1 - (sys.version_info >= (3, 13))
    async with Supervisor(ChildSpec(Common, name="a"), spares=0, reading="loop") as root:
        before = open_descriptors()
        for name in ("b", "c"):
            await root.start_child(ChildSpec(Common, name=name))
        await until(lambda: open_descriptors() == before + 2 * each, f"{each} descriptors each")


async def test_it_is_told_once(limit, logs):
    """The line names both numbers; the tree starts all the same."""
    limit(256)
    async with Supervisor(ChildSpec(Common, name="a"), spares=100) as root:
        root._launcher.wind_down()
    (line,) = [line for line in logs if line["event"] == "descriptors.short"]
    assert ("warning", "/root", 256) == (line["log_level"], line["supervisor"], line["limit"])
    assert line["needed"] > 256
    assert "ulimit -n" in line["detail"]
