"""Stacks: the place where a process waits, out of what it has written."""

from __future__ import annotations

import pytest

from supervisor.core.health.stacks import in_debugger, of_the_actor, waiting_place, without_their_start

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
  File "/lib/actors/child/main.py", line 9 in main
"""
LOOP = """Thread 0x0003 (most recent call first):
  File "/usr/lib/python3.11/selectors.py", line 468 in select
"""
TASK = """Task Task-1 (most recent call first):
  File "/usr/lib/python3.11/asyncio/tasks.py", line 649 in sleep
  File "/srv/shop/a.py", line 5 in on_start
"""

IMPORT = """Thread 0x0003 (most recent call first):
  File "<frozen importlib._bootstrap>", line 241 in _call_with_frames_removed
  File "<frozen importlib._bootstrap_external>", line 940 in exec_module
  File "/srv/shop/a.py", line 1 in <module>
  File "<frozen importlib._bootstrap>", line 1204 in _gcd_import
  File "/lib/actors/child/main.py", line 9 in main
"""
DRIVER = """Thread 0x0003 (most recent call first):
  File "/usr/lib/python3.11/socket.py", line 706 in readinto
  File "/srv/venv/lib/python3.11/site-packages/driver/wire.py", line 70 in read
"""


@pytest.mark.parametrize(
    ("stacks", "place"),
    [
        ([], ""),
        (["no stack at all"], ""),
        ([HEARTBEAT], ""),
        ([MAIN], "connect (shop/db.py:12)"),
        ([HEARTBEAT, LOADER, MAIN], "connect (shop/db.py:12)"),
        ([IMPORT], "<module> (shop/a.py:1)"),
        ([DRIVER + '  File "/srv/shop/a.py", line 3 in on_start'], "on_start (shop/a.py:3)"),
        ([DRIVER], "read (driver/wire.py:70)"),
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


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        ("/usr/lib/python3.11/bdb.py", "/usr/bin/app", True),
        ("/site-packages/debugpy/_vendored/pydevd/pydevd.py", "/usr/bin/app", True),
        ("/site-packages/_pydevd_bundle/pydevd_frame.py", "/usr/bin/app", True),
        ("/srv/shop/pdb_codes.py", "/usr/bin/app", False),
        ("/srv/shop/a.py", "/site-packages/debugpy/server/cli.py", False),
    ],
)
def test_whether_it_stands_in_a_debugger(inner, outer, expected):
    """Its main thread does, inside of the code that calls handlers; a debugger that started the process is none."""
    main = [
        "Current thread 0x1 (most recent call first):",
        f'  File "{inner}", line 1 in wait',
        '  File "/site-packages/actors/child/sync_runner.py", line 50 in run',
        f'  File "{outer}", line 2 in main',
    ]
    assert expected == in_debugger("\n".join([HEARTBEAT, LOADER, *main, "", TASK]))


# ---- without the library's frames


def test_what_called_a_handler_is_cut():
    """From the innermost frame of the library's on: how the process was started, and what called the handler."""
    fault = """Current thread 0x0001 (most recent call first):
  File "/usr/lib/python3.11/ctypes/__init__.py", line 519 in string_at
  File "/srv/shop/a.py", line 3 in parse
  File "/site-packages/actors/jobs/jobs.py", line 122 in run
  File "/usr/lib/python3.11/asyncio/runners.py", line 118 in run
  File "/site-packages/actors/child/main.py", line 75 in main
  File "/usr/lib/python3.11/multiprocessing/spawn.py", line 122 in spawn_main
  File "<string>", line 1 in <module>

Extension modules: one (total: 1)"""
    kept = fault.partition('  File "/site-packages/actors/jobs')[0]
    cut = "  ... 5 frames of the library that called it\n\nExtension modules: one (total: 1)"
    assert kept + cut == without_their_start(fault)


def test_source_lines_go_with_their_frames():
    """As `traceback` writes them, for tasks."""
    stack = """Task Task-1 (most recent call first):
  File "/srv/shop/a.py", line 5, in ask
    await self.db.read()
  File "/site-packages/actors/child/runners/async_runner.py", line 148, in _handle
    payload = await self._outcome(handler, method, envelope)"""
    assert ["    await self.db.read()", "  ... 1 frame of the library that called it"] == without_their_start(
        stack
    ).split("\n")[2:]


@pytest.mark.parametrize("stack", [LOADER, LOOP, TASK, "", "no stack at all"])
def test_stacks_that_the_library_did_not_begin_stay(stack):
    """Threads of the actor's own, and what is no stack."""
    assert stack == without_their_start(stack)


def test_a_stack_of_the_library_alone_stays():
    """A fault in it is told with all that there is."""
    own = """Current thread 0x0001 (most recent call first):
  File "/site-packages/actors/child/serving.py", line 50 in serve
  File "/site-packages/actors/child/main.py", line 75 in main
"""
    assert own == without_their_start(own)
