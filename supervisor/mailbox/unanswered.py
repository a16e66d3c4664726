"""Unanswered: asks that end before their answer: their asker has withdrawn them, or they took too long.

The error of one that took too long says what the actor does instead.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actors.jobs.jobs import shown
from actors.protocol.protocol import ActorProtocol
from actors.wire.progress import Progress
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.outcomes import Held, unanswered
from supervisor.mailbox.askers import PendingAsk
from supervisor.mailbox.consumers import Consumers
from supervisor.mailbox.dispatch import Dispatcher
from supervisor.mailbox.many import PendingAskMany
from supervisor.mailbox.settlement import Settlement


class Unanswered:
    """The asks of one mailbox that end before their answer.

    Args:
        path: the actor's path.
        protocol: what it handles.
        consumers: who serves the mailbox.
        settlement: of the mailbox.
        dispatcher: of the mailbox.
        depth: how many messages wait or are being handled.
        clock: seconds, of the lives.
    """

    def __init__(
        self,
        path: str,
        protocol: ActorProtocol,
        *,
        consumers: Consumers,
        settlement: Settlement,
        dispatcher: Dispatcher,
        depth: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._path = path
        self._protocol = protocol
        self._consumers = consumers
        self._settlement = settlement
        self._dispatcher = dispatcher
        self._depth = depth
        self._clock = clock

    def withdraw_many(self, asker: PendingAskMany) -> None:
        """The asker no longer waits: messages that have not begun will not begin."""
        self._dispatcher.withdraw_all([seq for _, seq in asker.open()], Fate.CANCELLED)

    def expire_many(self, asker: PendingAskMany, names: Sequence[str], timeout: float | None) -> None:
        """Some of many asks were not answered in time: they end so."""
        late = list(asker.open())
        doing = self._consumers.progress()  # before it gets to know, and ends a handler for that
        held = self._dispatcher.withdraw_all([seq for _, seq in late], Fate.EXPIRED)
        for index, seq in late:
            asker.failed(index, unanswered(self._path, names[index], timeout, self._at_work(held.get(seq), doing)))

    def expire(self, seq: int) -> None:
        """An ask was not answered in time."""
        asker, _ = self._settlement.askers[seq]
        doing = self._consumers.progress()
        held = self._dispatcher.withdraw(seq, Fate.EXPIRED)
        if isinstance(asker, PendingAsk):
            asker.failed(unanswered(self._path, asker.name, asker.timeout, self._at_work(held, doing)))

    def _at_work(self, held: tuple[str, int] | None, doing: dict[str, Progress]) -> Held:
        """What the actor did when an ask timed out.

        Args:
            held: the member that has the ask in flight, and the ask's delivery tag there; None when it waits.
            doing: what each member did.
        """
        holding = None if held is None else self._consumers.holding(held[0])
        there = self._consumers.served or self._consumers.leaving
        lives = there if held is None or holding is None else {held[0]: holding}
        seen = [doing[name] for name in lives]
        started = held is not None and holding is not None and held[1] <= seen[0].begun
        busy = min((one for one in seen if one.active), key=lambda one: one.since, default=None)
        unseen = held is not None and not all(life.at_once for life in lives.values())
        return Held(
            started=started or (None if unseen else False),
            finished=held is not None and started and held[1] not in seen[0].active,
            handler=None if busy is None else self._class_name(busy.handler),
            running=None if busy is None or len(busy.active) > 1 else self._clock() - busy.since / 1e9,
            down=not lives,
            leaving=held is None and not self._consumers.served,
            staying=bool(lives) and all(life.said_farewell for life in lives.values()),
            others=self._depth() - (held is not None),
        )

    def _class_name(self, handler: int) -> str:
        """Name of the messages of a handler; the index comes from the process and may be any number."""
        classes = tuple(self._protocol.handlers)
        return shown(classes[handler]) if 0 <= handler < len(classes) else "a message"
