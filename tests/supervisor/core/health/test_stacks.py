"""Stacks: the place where a process waits, out of what it has written."""

from __future__ import annotations

import pytest

from supervisor.core.health.stacks import of_the_actor, waiting_place

LIBRARIES = "/usr/lib/python3.11/"

HEARTBEAT = """Current thread 0x0001 [actors-heartbeat] (most recent call first):
  File "/usr/lib/python3.11/site-packages/actors/process/heartbeat.py", line 50 in answer
"""
LOADER = """Thread 0x0002 (most recent call first):
  File "/srv/shop/loader.py", line 7 in load
"""
MAIN = """Thread 0x0003 (most recent call first):
  File "/usr/lib/python3.11/socket.py", line 706 in readinto
  File "/srv/shop/db.py", line 12 in connect
  File "/srv/shop/a.py", line 3 in on_start
  File "/work/actors/child/main.py", line 9 in main
"""
LOOP = """Thread 0x0003 (most recent call first):
  File "/usr/lib/python3.11/selectors.py", line 468 in select
"""
TASK = """Task Task-1 (most recent call first):
  File "/usr/lib/python3.11/asyncio/tasks.py", line 649 in sleep
  File "/srv/shop/a.py", line 5 in on_start
"""


@pytest.mark.parametrize(
    ("stacks", "place"),
    [
        ([], ""),
        (["no stack at all"], ""),
        ([HEARTBEAT], ""),
        ([MAIN], "connect (shop/db.py:12)"),
        ([HEARTBEAT, LOADER, MAIN], "connect (shop/db.py:12)"),
        ([LOOP], "select (python3.11/selectors.py:468)"),
        ([HEARTBEAT, LOADER, LOOP, TASK], "on_start (shop/a.py:5)"),
    ],
)
def test_where_it_waits(stacks, place):
    """In the actor's own code: that of a task, else that of the main thread, which is the last."""
    assert place == waiting_place("\n".join(stacks), LIBRARIES)


def test_the_heartbeat_is_no_part_of_the_actor():
    """The thread that answers is left out."""
    assert f"{LOADER}\n{MAIN}" == of_the_actor(f"{HEARTBEAT}\n{LOADER}\n{MAIN}")
