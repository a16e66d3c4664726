"""Connections: those of a daemon to one agent, which are made in a thread, since each may take its time."""

from __future__ import annotations

import asyncio
import socket
from typing import Final, NamedTuple

from supervisor.cluster.link import handshake, values

PATIENCE: Final = 10.0  # seconds for each


class Connections(NamedTuple):
    """Those of one agent, connected and authenticated.

    Attributes:
        stream: of the link.
        lease: on which the lease is renewed.
        values: the Unix socket beside the link; None where the agent is on another machine.
    """

    stream: socket.socket
    lease: socket.socket
    values: socket.socket | None


async def connect(loop: asyncio.AbstractEventLoop, host: str, port: int, name: str, token: bytes) -> Connections:
    """Connect to an agent. Cancelled, it closes what is connected later. Runs on the loop's thread.

    Args:
        loop: of the tree.
        host: address of the agent.
        port: at which it listens.
        name: of its Unix socket; empty where it has none.
        token: which it knows.

    Raises:
        OSError: it cannot be reached, or does not know the token.
    """
    connecting = loop.run_in_executor(None, _connect, host, port, name, token)
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        connecting.add_done_callback(_close)
        raise


def _connect(host: str, port: int, name: str, token: bytes) -> Connections:
    """Runs in a thread."""
    made: list[socket.socket] = []
    try:
        beside = values.connect(name, PATIENCE)
        if beside is not None:  # first: when it has the other two, the agent takes no more
            made.append(beside)
            handshake.offer(beside, token, handshake.VALUES)
        for role in (handshake.STREAM, handshake.LEASE):
            made.append(socket.create_connection((host, port), timeout=PATIENCE))
            handshake.offer(made[-1], token, role)
    except OSError as error:
        for sock in made:
            sock.close()
        raise OSError(f"its address {host}:{port} cannot be reached from here: {error}") from error
    stream, lease = made[-2:]
    return Connections(stream, lease, beside)


def _close(connecting: asyncio.Future[Connections]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        for sock in connecting.result():
            if sock is not None:
                sock.close()
