"""ServiceManager: says to systemd how the daemon is, over $NOTIFY_SOCKET (sd_notify(3)).

A message is one datagram that never blocks; one that cannot be sent is dropped, since the next says more. The protocol
is ten lines, so it needs no library: a service that says nothing, because an extra is missing, would be killed.

Callable from any thread.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Final, Self

_CLOEXEC: Final = getattr(socket, "SOCK_CLOEXEC", 0)


class ServiceManager:
    """The service manager that started this process.

    Args:
        address: of its socket: a path, or `@` and an abstract name.
        watchdog: seconds within which it wants a sign of life, None when it wants none.
    """

    def __init__(self, address: str, watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self | None:
        """The one that the environment names, None when there is none.

        A watchdog that is meant for another process (WATCHDOG_PID) is not ours.
        """
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return None
        meant = environment.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
        usec = environment.get("WATCHDOG_USEC", "")
        return cls(address, int(usec) / 1e6 if meant and usec.isdecimal() and int(usec) else None)

    def tell(self, fields: Mapping[str, object]) -> None:
        """Send one message: `{"READY": 1}`. Line breaks in values become spaces. Never raises, never blocks."""
        lines = [f"{name}={' '.join(str(value).splitlines())}" for name, value in fields.items()]
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | _CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(errors="replace"), self._address)
