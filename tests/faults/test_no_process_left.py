"""The user's limit of processes is reached under a running tree, and raised again: it comes back by itself."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from tests.support.waiting import DEADLINE, ROOT

NOBODY = 65534
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
    "PYTHONDONTWRITEBYTECODE": "1",
}

DAEMON = """
import asyncio, os, resource, signal
from supervisor import Backoff, ChildExited, ChildSpec, Intensity, Supervisor
from tests.support.actors import Puppet, WhoAreYou

async def unstarted(events):
    async for event in events:
        if isinstance(event, ChildExited) and event.report.reason.kind.value == "unstarted":
            return event.report.reason.detail

async def main():
    specs = [ChildSpec(Puppet, name=name, backoff=Backoff(initial=0.05, cap=0.05, jitter=0.0)) for name in "ab"]
    async with Supervisor(*specs, intensity=Intensity.unlimited(), spares=0) as root:
        a, b = [child.pid for child in root.which_children()]
        events = root.events()
        limits = resource.getrlimit(resource.RLIMIT_NPROC)
        resource.setrlimit(resource.RLIMIT_NPROC, (1, limits[1]))
        os.kill(a, signal.SIGKILL)
        print(await unstarted(events))
        print(b == (await root["b"].ask(WhoAreYou())).pid)
        resource.setrlimit(resource.RLIMIT_NPROC, limits)
        print(a != (await root["a"].ask(WhoAreYou(), timeout=None)).pid)

asyncio.run(main())
"""


def ordinary_user():
    """A user whom the limit binds: root is not bound."""
    return os.getuid() or NOBODY


def may_run(user):
    """Whether that user can run this interpreter and read the code."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", "import supervisor, tests.support.actors"],
            user=user,
            cwd="/",
            env=ENVIRONMENT,
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(resource, "RLIMIT_NPROC"), reason="the system has no such limit")
def test_no_process_is_left_to_be_had():
    """A restart fails and is told, the sibling serves on; when there are processes again, the actor is back."""
    user = ordinary_user()
    if not may_run(user):
        pytest.skip(f"root is not bound by the limit, and user {user} cannot run {sys.executable}")
    done = subprocess.run(
        [sys.executable, "-c", DAEMON],
        user=user,
        cwd="/",
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    told, *true = done.stdout.splitlines()[-3:] or [""]
    assert ["True", "True"] == true, done.stderr
    assert "Resource temporarily unavailable" in told
