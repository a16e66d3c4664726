"""A port for a server that another process starts a moment later."""

from __future__ import annotations

import contextlib
import random
import socket


def free_port() -> int:
    """A port that nobody has, below those that systems give out: nobody gets it by chance meanwhile."""
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("a hundred ports are taken")
