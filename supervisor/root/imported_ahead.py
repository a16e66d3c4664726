"""Imported ahead: the modules by which a running tree is looked at, changed and drained.

They are imported while its children start, which takes longer. At their first use that could fail: a SIGTERM may come
when the daemon has no descriptor left, and an import opens files.

Runs on the loop's thread.
"""

from __future__ import annotations

from supervisor.root import draining
from supervisor.tree import child_management, health, look

__all__ = ["child_management", "draining", "health", "look"]
