"""Spawnable: what can be passed to a spawned process, and whether this program can start one.

What would fail in the child fails here, in the daemon, before the spawn, in one line with its remedy.
"""

from supervisor.spawnable.main_module import MAIN
from supervisor.spawnable.names import check_importable, check_module, check_named
from supervisor.spawnable.program import check_main_guard, check_program

__all__ = ["MAIN", "check_importable", "check_main_guard", "check_module", "check_named", "check_program"]
