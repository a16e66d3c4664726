"""Forks: connections that a fork of the daemon must not hold open, since their end tells that the daemon is dead."""

from __future__ import annotations

import os
import socket
from weakref import WeakSet

_ours: WeakSet[socket.socket] = WeakSet()


def close_in_forks(sock: socket.socket) -> None:
    """Close it in every fork of this process; here it stays open."""
    _ours.add(sock)


def _forked() -> None:
    for sock in _ours:
        sock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
