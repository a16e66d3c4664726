"""What changes and looks at a tree is imported while its children start."""

from __future__ import annotations

import subprocess
import sys

INTERRUPTED = """
import sys
import supervisor.root.lifecycle
from supervisor.root.imported_ahead import import_ahead

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "supervisor.tree.child_management":
            try:
                {}[name]
            except KeyError:
                raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupts())
import_ahead()
"""


def test_an_interrupt_in_the_middle_shows_nothing_of_importlib():
    """A second Ctrl-C of asyncio comes anywhere, also where importlib handles an error of its own."""
    ended = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=False)
    assert "KeyboardInterrupt" == ended.stderr.splitlines()[-1]
    assert "KeyError" not in ended.stderr
