"""ActorWatches: an actor is told when another is down for good: by a message, or as the answer to a call of it.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.errors import MailboxFull, WireError
from actors.messages import Terminated
from actors.wire.from_child import Watch
from supervisor.mailbox.mailbox import Mailbox
from supervisor.messaging.registry import Registry
from supervisor.messaging.remote_ask import RemoteAsk, RemoteAsks


class ActorWatches:
    """What one life of an actor watches.

    Args:
        path: of its process.
        mailbox: the actor's own, for what comes as a message.
        registry: of the tree.
        asks: what waits in the life.
    """

    def __init__(self, path: str, mailbox: Mailbox, registry: Registry, asks: RemoteAsks) -> None:
        self._path = path
        self._mailbox = mailbox
        self._registry = registry
        self._asks = asks

    def watch(self, frame: Watch) -> None:
        """The actor wants to know when another is down for good.

        Raises:
            WireError: a correct actor would not send it.
        """
        if frame.correlation:
            told = self._wait_for_end(frame)
        elif Terminated not in self._mailbox.protocol.handlers:
            raise WireError(f"it watches {frame.path[:100]} and does not handle Terminated")
        elif self._mailbox.capacity.overfull:
            raise WireError("it has more notices of ended actors waiting than allowed")
        else:
            told = self._tell_terminated
        target = self._registry.get(frame.path)
        if target is None:
            told(Terminated(frame.path, "no actor has that path"))
        else:
            if not frame.correlation:
                self._mailbox.watched[self._path, target.path] = target
            target.watch(self._watcher(frame), told)

    def _wait_for_end(self, frame: Watch) -> Callable[[Terminated], None]:
        """A call in the life waits for the end of another actor; returns the callback."""
        asker = RemoteAsk(self._asks, frame)
        try:
            self._asks.begin(asker)
        except MailboxFull as error:
            asker.failed(error)
            return _ignore_end
        target = self._registry.get(frame.path)
        if target is not None:
            asker.withdraw = lambda: target.unwatch(self._watcher(frame))
        return asker.replied_with

    def _watcher(self, frame: Watch) -> object:
        """Who watches: the actor over all of its lives, or what waits in this one."""
        return (self if frame.correlation else self._path, frame.correlation)

    def _tell_terminated(self, end: Terminated) -> None:
        self._mailbox.watched.pop((self._path, end.path), None)
        if self._mailbox.closed is None:
            self._mailbox.intake.post_own(end, end.path)


def _ignore_end(end: Terminated) -> None:
    """Ignore an end."""
    del end
