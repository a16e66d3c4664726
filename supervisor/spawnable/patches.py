"""Patches: what gevent and eventlet have replaced in this process, and whether a tree can run on it."""

from __future__ import annotations

import sys
from typing import Any, Final

from actors.errors import UsageError

_OF_GEVENT: Final = {"thread": "_thread", "queue": "queue", "select": "select"}  # of patch_all, and what they patch
_OF_EVENTLET: Final = ("os", "select", "socket", "subprocess", "thread", "time")  # as `is_monkey_patched` names them


def check_patches() -> None:
    """Check that the threads of a tree can run on what was replaced.

    Raises:
        UsageError: system calls and threads do not fit together: they would block or break each other.
    """
    gevent: Any = sys.modules.get("gevent.monkey")
    if gevent is not None:
        _check_gevent(gevent)
    eventlet: Any = sys.modules.get("eventlet.patcher")
    if eventlet is not None:
        _check_eventlet(eventlet)


def _check_gevent(monkey: Any) -> None:
    patched = [name for name in ("select", "os", "subprocess") if monkey.is_module_patched(name)]
    missing = [name for name, module in _OF_GEVENT.items() if not monkey.is_module_patched(module)]
    if patched and missing:
        raise UsageError(
            f"gevent has patched {', '.join(patched)}, but not {', '.join(missing)}, so that the threads of a tree "
            f"would hang; call gevent.monkey.patch_all() without {', '.join(f'{name}=False' for name in missing)}, or "
            f"patch nothing"
        )


def _check_eventlet(patcher: Any) -> None:
    """It takes `select.poll` away, and its locks do not wake a greenlet from another thread."""
    patched = [name for name in _OF_EVENTLET if patcher.is_monkey_patched(name)]
    if patched:
        raise UsageError(
            f"eventlet has patched {', '.join(patched)}, so that the threads of a tree would hang; run the tree in a "
            f"process without eventlet, or patch by gevent.monkey.patch_all(), beside which it works"
        )
