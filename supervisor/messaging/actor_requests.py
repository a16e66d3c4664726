"""ActorRequests: what one life of an actor asks of the tree: to send to others, to watch them, to use topics.

    ActorLife ─▶ take ─▶ ActorSends │ ActorWatches │ topics; answers go back by RemoteAsk

An answer goes to the life that asked, or is dropped. What one actor may have in progress is bounded.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from actors.wire.framing import Carried
from actors.wire.from_child import MoreItems, Publish, Send, SendMany, Subscribe, Watch, Withdraw
from supervisor.mailbox.mailbox import Mailbox
from supervisor.messaging.actor_sends import ActorSends
from supervisor.messaging.actor_watches import ActorWatches
from supervisor.messaging.remote_ask import RemoteAsks
from supervisor.messaging.tree_context import TreeContext
from supervisor.ports.life import Delivery

if TYPE_CHECKING:
    from supervisor.core.health.life_end import LifeEnd
    from supervisor.durable.mailbox import DurableMailbox
    from supervisor.durable.transaction import Sent
    from supervisor.store.writes import AcceptDeadLetter


class ActorRequests:
    """The requests of one life of an actor.

    Args:
        path: of the process that sends.
        mailbox: the actor's own.
        tree: the tree.
        life: gets the answers.
        ready: whether it has been ready.
    """

    def __init__(self, path: str, mailbox: Mailbox, tree: TreeContext, life: Delivery | None, *, ready: bool) -> None:
        self._asks = RemoteAsks(path, life)
        self._sends = ActorSends(path, mailbox, tree, self._asks, ready=ready)
        self._watches = ActorWatches(path, mailbox, tree.registry, self._asks)
        self._topics = tree.topics
        self._mailbox = mailbox

    def life_ready(self) -> None:
        """The life is ready: it may ask actors that start after it. What it has sent belongs to no message."""
        self._sends.ready = True
        self._settle_held()

    def end(self, end: LifeEnd) -> None:
        """The life has ended: drop its waits, and what it has sent that belongs to messages which are not settled.

        One that has stopped by itself had settled them all before its `on_stop`.
        """
        if end.goodbye and end.crash_report is None and end.wire_error is None:
            self._settle_held()
        self._sends.drop_held()
        self._asks.end()

    def _settle_held(self) -> None:
        """Store what a durable actor has sent outside of its handlers."""
        if self._mailbox.durable and (held := self._sends.take_held()):
            cast("DurableMailbox", self._mailbox).stored.send(held)

    def take_held(self) -> list[Sent | AcceptDeadLetter]:
        """See `ActorSends.take_held`."""
        return self._sends.take_held()

    def take(
        self,
        frame: Send | SendMany | MoreItems | Withdraw | Watch | Subscribe | Publish,
        attachments: Sequence[Carried] = (),
    ) -> None:
        """Execute a request of the actor.

        Raises:
            WireError: a correct actor would not send it.
        """
        match frame:
            case Send():
                self._sends.send(frame, attachments)
            case SendMany():
                self._sends.send_many(frame)
            case MoreItems():
                self._asks.grant(frame.correlation, frame.count)
            case Withdraw():
                self._asks.withdraw(frame.correlation)
            case Watch():
                self._watches.watch(frame)
            case Subscribe():
                self._topics.subscribe(frame.topic, self._mailbox)
            case Publish():
                self._topics.publish(frame.topic, bytes(frame.message), self._mailbox.path, frame.trace)
