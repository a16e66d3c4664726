"""Which daemon takes the place of one that has ended."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

from supervisor.clock import machine_time
from supervisor.control.frames import Identity
from supervisor.ctl.daemons import Seen
from supervisor.tree.health import HealthStatus, TreeHealth

ENDED = Identity(
    pid=1,
    tree="/shop",
    argv=("uvicorn", "shop:app", "--workers", "4"),
    cwd="/srv",
    python="3.11",
    started=0.0,
    health=TreeHealth(HealthStatus.HEALTHY),
    children=1,
    running=1,
)


@pytest.mark.parametrize(
    ("age", "changed", "follows"),
    [
        (1, {}, True),
        (59, {}, False),  # a worker beside it, begun after it
        (1, {"tree": "/other"}, False),
        (1, {"argv": ("uvicorn", "shop:app")}, False),
        (1, {"cwd": "/tmp"}, False),
    ],
)
def test_the_same_program_begun_since(age, changed, follows):
    """Not one of its siblings, which ran beside it and have its command line."""
    now = time.time()
    last = Seen(replace(ENDED, started=now - 60), machine_time() - 30)
    assert follows == last.is_followed_by(replace(ENDED, pid=2, started=now - age, **changed))
