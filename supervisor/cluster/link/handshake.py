"""Handshake: both ends of a new connection prove that they know the token, which never crosses.

The token is made by the daemon for one agent, and reaches it through Ray. Runs in a thread that may wait.
"""

from __future__ import annotations

import hmac
import os
import socket
from typing import Final

STREAM: Final = b"s"  # the connection that carries the link
LEASE: Final = b"l"  # the connection on which the lease is renewed
VALUES: Final = b"v"  # the Unix socket over which values in shared memory pass, on one machine

_NONCE: Final = 32
_MAC: Final = 32


def offer(sock: socket.socket, token: bytes, role: bytes) -> None:
    """The daemon's side.

    Raises:
        OSError: the other side is no agent with that token, or does not answer in time.
    """
    theirs = _exactly(sock, _NONCE)
    ours = os.urandom(_NONCE)
    sock.sendall(role + ours + _mac(token, b"daemon" + role + theirs))
    if not hmac.compare_digest(_exactly(sock, _MAC), _mac(token, b"agent" + role + ours)):
        raise ConnectionError("the agent does not know its token")


def accept(sock: socket.socket, token: bytes) -> bytes:
    """The agent's side; returns the role.

    Raises:
        OSError: the other side does not know the token, or does not answer in time.
    """
    ours = os.urandom(_NONCE)
    sock.sendall(ours)
    role = _exactly(sock, 1)
    theirs, mac = _exactly(sock, _NONCE), _exactly(sock, _MAC)
    if not hmac.compare_digest(mac, _mac(token, b"daemon" + role + ours)):
        raise ConnectionError("a connection that does not know the token")
    sock.sendall(_mac(token, b"agent" + role + theirs))
    return role


def _mac(token: bytes, text: bytes) -> bytes:
    return hmac.digest(token, text, "sha256")


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ConnectionError("the other side has closed the connection")
        data += piece
    return data
