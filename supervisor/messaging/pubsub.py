"""PubSub: who subscribed to which topic, and the delivery of what is published.

At most once, and bounded: a subscriber without room misses the message, which becomes a dead letter.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from actors.errors import WireError
from actors.messages import Message, Topic, check_topic
from actors.protocol.protocol import published
from actors.wire.codec import decoder_of
from supervisor.mailbox.mailbox import Mailbox
from supervisor.observe.broadcast import Broadcast, Missed

MAX_TOPICS: Final = 1_000  # of one actor


class PubSub:
    """The topics of one tree; a topic exists while it has subscribers."""

    def __init__(self) -> None:
        self._topics: dict[str, set[str]] = {}  # of each subscriber, by its path
        self._mailboxes: dict[str, dict[str, Mailbox]] = {}  # topic to path to mailbox
        self._readers: dict[str, tuple[Topic[Any], Broadcast[Message[Any] | Missed]]] = {}
        self._over = False

    def subscribe(self, topic: str, mailbox: Mailbox) -> None:
        """An actor gets what is published from now on, until it is down for good.

        Raises:
            WireError: it subscribes to more topics than allowed.
        """
        topics = self._topics.setdefault(mailbox.path, set())
        if len(topics) >= MAX_TOPICS:
            raise WireError(f"it subscribes to more than {MAX_TOPICS} topics")
        topics.add(topic)
        self._mailboxes.setdefault(topic, {})[mailbox.path] = mailbox

    def forget(self, path: str) -> None:
        """An actor is down for good, or its spec is deleted: it gets nothing more."""
        for topic in self._topics.pop(path, ()):
            del self._mailboxes[topic][path]
            if not self._mailboxes[topic]:
                del self._mailboxes[topic]

    def read(self, topic: Topic[Any], check: Callable[[], None]) -> AsyncIterator[Any]:
        """A task of the daemon gets what is published from now on; after the end of the tree, nothing.

        Args:
            topic: which.
            check: as of `Reading`.

        Raises:
            UsageError: the topic is none.
        """
        check_topic(topic)
        _, broadcast = self._readers.setdefault(topic.name, (topic, Broadcast()))
        if self._over:
            broadcast.close()
        return broadcast.read(check=check)

    def say(self, topic: Topic[Any], message: Message[Any]) -> None:
        """The daemon publishes.

        Raises:
            UsageError: the message is not of the topic's type.
        """
        data = published(topic, message)
        self.publish(topic.name, data, None, None)

    def publish(self, topic: str, payload: bytes, sender: str | None, trace: str | None) -> None:
        """Give a message to all subscribers.

        Args:
            topic: its name.
            payload: the message's bytes.
            sender: path of the actor that publishes, None when the daemon does.
            trace: the trace context in which an actor does.
        """
        for path, mailbox in tuple(self._mailboxes.get(topic, {}).items()):
            if mailbox.closed is not None:
                self.forget(path)
            else:
                mailbox.intake.post_published(payload, sender, trace)
        if topic in self._readers:
            known, broadcast = self._readers[topic]
            try:
                broadcast.tell(decoder_of(known.message).decode(payload))
            except Exception:  # published under another topic of the same name
                broadcast.tell(Missed(1))

    def close(self) -> None:
        """The tree has ended."""
        self._over = True
        for _, broadcast in self._readers.values():
            broadcast.close()
