"""What is printed of stacks."""

from __future__ import annotations

from supervisor.control.frames import ProcessStacks
from supervisor.ctl.text import stacks_text

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
