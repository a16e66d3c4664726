"""Imported ahead: the modules by which a running tree is looked at, changed and drained.

They are imported while its children start, which takes longer. At their first use that could fail: a SIGTERM may come
when the daemon has no descriptor left, and an import opens files.

Runs on the loop's thread.
"""

from __future__ import annotations

from functools import cache


@cache
def import_ahead() -> None:
    """Import them, once.

    Raises:
        KeyboardInterrupt: a Ctrl-C came meanwhile; what importlib was handling is not shown above it.
    """
    try:
        from supervisor.root import draining  # noqa: F401, PLC0415 - as above
        from supervisor.tree import child_management, health, look  # noqa: F401, PLC0415 - as above
    except KeyboardInterrupt as interrupt:
        raise interrupt from None
