"""Watch: follows one daemon over its restarts, and puts what it sees into the feed.

Two threads of the page's process, each with its own connection: one looks every second, one reads events.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from supervisor.control.frames import Identity
from supervisor.ctl.client import Client
from supervisor.ctl.daemons import Seen, reconnected, seen
from supervisor.ctl.errors import ControlError
from supervisor.ctl.web.feed import KEPT, Feed
from supervisor.ctl.web.glance import Glances
from supervisor.ctl.web.view import EventView, daemon_view, event_view

PERIOD: Final = 1.0  # seconds between two looks


class Watch:
    """Watches until it is closed. Made on the loop's thread.

    Args:
        path: of the control socket.
        feed: gets what is seen.

    Attributes:
        path: of the control socket of the daemon that was seen last.
    """

    def __init__(self, path: Path, feed: Feed) -> None:
        self.path = path
        self._feed = feed
        self._loop = asyncio.get_running_loop()
        self._over = threading.Event()
        self._last: Seen | None = None  # the daemon that answered last
        self._answers = False
        self._heard = (0, 0)  # pid of the daemon and number of the last event
        self._follower: threading.Thread | None = None
        self._following: Client | None = None
        threading.Thread(target=self._run, name="web-look", daemon=True).start()

    def close(self) -> None:
        """End both threads; one that waits for an answer ends when that comes, or with the process."""
        self._over.set()
        following = self._following
        if following is not None:
            following.interrupt()

    # ---- the thread that looks

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with self._connected() as client:
                    self._stay(client)
            except ControlError as error:
                self._lost(str(error))
            self._over.wait(PERIOD)

    def _connected(self) -> Client:
        """A connection to the daemon, or to the one that has taken its place.

        Raises:
            NoDaemon: there is none.
        """
        client = reconnected(self.path, self._last)
        self.path = client.path
        return client

    def _stay(self, client: Client) -> None:
        """Look until the daemon ends."""
        glances = Glances(client)
        while not self._over.is_set():
            now = seen(client)
            self._seen(now)
            self._follow(now.identity)
            for kind, value in glances.take():
                self._put(kind, value)
            self._over.wait(PERIOD)

    def _seen(self, now: Seen) -> None:
        if not self._answers:
            self._say("note", f"connected to {now.identity.tree}, pid {now.identity.pid}")
        self._last, self._answers = now, True
        self._put("daemon", daemon_view(now.identity))

    def _lost(self, trouble: str) -> None:
        if self._last is not None:
            self._put("daemon", daemon_view(self._last.identity, trouble))
        if self._answers:
            self._say("lost", trouble)
        self._answers = False

    # ---- the thread that reads events

    def _follow(self, identity: Identity) -> None:
        """Read events in a thread, a new one where the daemon has ended the connection of the last one."""
        if self._follower is None or not self._follower.is_alive():
            of = self.path, identity.pid
            reading = threading.Thread(target=self._read_events, args=of, name="web-events", daemon=True)
            reading.start()
            self._follower = reading

    def _read_events(self, path: Path, pid: int) -> None:
        heard, last = self._heard
        last = last if heard == pid else 0
        with contextlib.suppress(ControlError), Client(path) as client:
            self._following = client
            for occurred in client.events(KEPT, follow=True):
                if occurred.number > last or not occurred.number:  # else it was read over the connection before
                    last = max(last, occurred.number)
                    self._heard = pid, last
                    self._post(self._feed.happened, event_view(occurred))
            self._heard = (0, 0)  # that tree is down; another one counts anew

    # ---- to the loop

    def _say(self, kind: str, text: str) -> None:
        self._post(self._feed.happened, EventView(time.time(), kind, "", text))

    def _put(self, kind: str, value: object) -> None:
        self._post(self._feed.put, kind, value)

    def _post(self, deed: Callable[..., object], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(deed, *args)
