"""MailboxParts: what the ways into one mailbox, one by one and in bulk, have in common.

Values, used on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from actors.protocol.protocol import ActorProtocol
from actors.ref import ActorRef
from supervisor.core.delivery.messages import Classes
from supervisor.loop_affinity import Home
from supervisor.mailbox.capacity import Capacity
from supervisor.mailbox.consumers import Consumers
from supervisor.mailbox.dispatch import Dispatcher
from supervisor.mailbox.settlement import Settlement
from supervisor.mailbox.timers import Deadlines
from supervisor.mailbox.validation import Admission
from supervisor.specs import Overflow


class MailboxParts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one mailbox that its ways in use.

    Attributes:
        path: the actor's path.
        protocol: what it handles.
        classes: of its messages.
        home: the loop, thread and process of the mailbox.
        admission: checks messages.
        consumers: whose queues take them.
        capacity: how many may wait.
        overflow: what happens to one message more than fits.
        settlement: ends them.
        dispatcher: sends what was taken.
        deadlines: of the asks.
        resolve: makes a ref of a path that arrives in a reply.
    """

    path: str
    protocol: ActorProtocol
    classes: Classes
    home: Home
    admission: Admission
    consumers: Consumers
    capacity: Capacity
    overflow: Overflow
    settlement: Settlement
    dispatcher: Dispatcher
    deadlines: Deadlines
    resolve: Callable[[str], ActorRef]
