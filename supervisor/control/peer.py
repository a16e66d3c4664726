"""Peer: which user is at the other end of a Unix socket.

Runs on the loop's thread; nothing blocks.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Final

_UCRED: Final = struct.Struct("3i")  # pid, uid, gid


def peer_uid(connection: socket.socket) -> int | None:
    """The user id of the peer when it connected; None where the system does not say."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    _pid, uid, _gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _UCRED.size))
    return int(uid)


def may_control(uid: int | None) -> bool:
    """Whether this user may control this daemon: its own user and root.

    Where the system does not say who it is, the modes of the socket and of its directory have decided.
    """
    return uid is None or uid in (0, os.geteuid())
