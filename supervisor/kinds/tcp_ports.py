"""TCP ports of this machine: one that is free for a command, and whether one is free.

Nothing here waits. Runs on the loop's thread.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket


def free_port(wish: int | None = None) -> int:
    """A TCP port on which nothing listens: the wished one, or another.

    Another program may take it before the command does; then that life fails, and the next one gets another.

    Raises:
        OSError: there is none.
    """
    if wish is not None and _is_free("127.0.0.1", wish):
        return wish
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def check_free(host: str, port: int) -> None:
    """Check that nothing listens there yet, or the command would seem to be ready.

    An address of another machine, and a name that has to be looked up, is not checked.

    Raises:
        OSError: something does.
    """
    address = "127.0.0.1" if host == "localhost" else host
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(address)
        if not _is_free(address, port):
            raise OSError(errno.EADDRINUSE, f"port {port} of {host} is taken by another program")


def _is_free(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True
