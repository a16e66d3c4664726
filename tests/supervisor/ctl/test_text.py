"""What is printed: stacks, and columns of whatever texts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from supervisor.control.frames import ProcessStacks
from supervisor.ctl.cells import cells, fitted, fitted_end, harmless
from supervisor.ctl.rows import Row
from supervisor.ctl.text import stacks_text, table
from supervisor.ctl.top_lines import foot, line
from tests.supervisor.control.test_why import actor

STACKS = """\
Thread 0x1 (most recent call first):
  File "<frozen importlib._bootstrap>", line 1 in _find_spec
  File "/srv/shop/wheel.py", line 3 in <module>
  File "<frozen importlib._bootstrap_external>", line 940 in exec_module
  File "<frozen importlib._bootstrap>", line 1176 in _find_and_load
  File "/srv/shop/parser.py", line 5 in <module>
"""


def test_the_line_above():
    """Which process it is, and what it does."""
    assert "/a (pid 7) handles Add for 3 s:\n" in stacks_text(
        ProcessStacks("/a", 7, STACKS, doing="handles Add for 3 s")
    )
    assert "/a (pid 7 on n1):\n" in stacks_text(ProcessStacks("/a", 7, STACKS, "n1"))
    assert "/a:\n" in stacks_text(ProcessStacks("/a", None, "it does not run"))


def test_the_machinery_of_imports_is_left_out():
    """Not the newest frame, and nothing in full."""
    shown = stacks_text(ProcessStacks("/a", 7, STACKS)).splitlines()
    assert [
        "/a (pid 7):",
        "  Thread 0x1 (most recent call first):",
        '    File "<frozen importlib._bootstrap>", line 1 in _find_spec',
        '    File "shop/wheel.py", line 3 in <module>',
        '    File "shop/parser.py", line 5 in <module>',
    ] == shown
    assert 6 == len(stacks_text(ProcessStacks("/a", 7, STACKS), full=True).splitlines()) - 1


IDLE = """\
Task Task-1 (most recent call first):
  File "/usr/lib/actors/child/runners/async_runner.py", line 85 in run

Task Task-2 (most recent call first):
  File "/usr/lib/actors/child/runners/async_runner.py", line 171 in _handle
"""
BUSY = """\
Thread 0x1 (most recent call first):
  File "/srv/shop/parser.py", line 5 in parse
  File "/usr/lib/actors/child/runners/async_runner.py", line 200 in _call

"""


def test_tasks_of_the_library_are_left_out():
    """But not where there is nothing else, and not in full."""
    shown = stacks_text(ProcessStacks("/a", 7, BUSY + IDLE))
    assert "shop/parser.py" in shown
    assert "Task" not in shown
    assert "Task-2" in stacks_text(ProcessStacks("/a", 7, BUSY + IDLE), full=True)
    assert "Task-1" in stacks_text(ProcessStacks("/a", 7, IDLE))


def test_the_handler_of_the_signal_that_asked_is_left_out():
    """C code may run it while the stacks are written, above the code that was asked about."""
    stacks = (
        "Thread 0x1 (most recent call first):\n"
        '  File "/usr/lib/actors/process/diagnostics.py", line 32 in <lambda>\n'
        '  File "/usr/lib/python3/re/__init__.py", line 166 in match\n'
    )
    text = stacks_text(ProcessStacks(path="/root/parser", pid=7, stacks=stacks))
    assert "diagnostics" not in text
    assert 'File "re/__init__.py", line 166 in match' in text


@pytest.mark.parametrize(
    ("text", "taken"), [("", 0), ("add", 3), ("仕事", 4), ("e\u0301t", 2), ("🚀", 2), ("a\u200db", 2)]
)
def test_cells(text, taken):
    """Wide letters take two, accents none; a cut text fits from both sides."""
    assert taken == cells(text)
    for cut in (fitted(text * 9, 7), fitted_end(text * 9, 7)):
        assert cells(cut) <= 7
    assert (fitted(text * 9, 7) != text * 9) == (taken * 9 > 7)


def test_columns_of_wide_texts_are_straight():
    """Each row begins its next column in the same cell."""
    rows = table([("NAME", "DOING", "N"), ("仕事", "x", "1"), ("e\u0301", "長い", "22")], 80, right=(2,))
    assert 1 == len({cells(row) for row in rows})
    assert "長..." == table([("長い名前",)], 6)[0]


def test_control_characters_are_shown_as_python_writes_them():
    assert "a\\x1b[2Jb\\r\n\tc" == harmless("a\x1b[2Jb\r\n\tc")
    assert ["a b\\x9b"] == table([("a\nb\x9b",)], 80)


@pytest.mark.parametrize("width", [78, 198])
def test_rows_of_top(width):
    """Wide names of messages move no column; of a path its end is kept; a degraded actor says why."""
    plain = actor(handling="Add", handling_for=1.0, name="a" * 60, path=f"/root/{'long/' * 30}end")
    wide = replace(plain, handling="仕事" * 30)
    rows = [line(Row(0, node, 1.0, 2.0, 2**20), "tree", width) for node in (plain, wide)]
    assert all(cells(row) <= width for row in rows)
    assert line(Row(0, plain, 1.0, 2.0, 2**20), "rate", width).split()[0].endswith("/end")
    assert "queue is full" in line(Row(0, replace(wide, degraded="queue is full"), 0.0, 0.0, 0), "tree", width)
    assert foot("rate", "a\x1b", width).rstrip().endswith("by rate, with a\\x1b")
