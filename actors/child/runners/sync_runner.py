"""Sync runner: a loop over the inbox, without an event loop, for actors whose handlers are all sync.

One message at a time, in the order of the mailbox.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

from typing import Any

from actors.actor import Actor
from actors.child.life import Life
from actors.child.messages.inbox import PendingBatch
from actors.child.runners.batches import Work, handle_batch
from actors.child.runners.handling import Handling
from actors.child.runners.replies import payload_of
from actors.exits import ExitReason
from actors.ipc.box_cells import DOORBELL
from actors.messages import Message
from actors.protocol.protocol import Handler
from actors.wire.to_child import Envelope


def run(actor: Actor, life: Life) -> ExitReason:
    """Serve an actor whose handlers are all sync, until it is asked to stop or stops itself.

    Raises:
        ActorFailed: a handler raised and the class does not say `on_error = "reply"`.
    """
    work: dict[type[Message[Any]], tuple[Handler, Work]] = {
        message: (handler, getattr(actor, handler.name)) for message, handler in life.protocol.handlers.items()
    }
    handling = Handling(life)
    pending, cells, driver = life.inbox.pending, life.cells, life.sync_driver
    life.keep_replies(pending)
    while True:
        if cells[DOORBELL] != life.rings or driver.health_wanted:
            life.between_messages()
        if life.leaving.reason is not None:
            driver.current = None
            return life.leaving.reason
        if pending and isinstance(pending[0], PendingBatch):
            handle_batch(handling, work, pending[0])
        elif (envelope := life.inbox.next_wanted()) is not None:
            handler, method = work[type(envelope.message)]
            _handle(handling, handler, method, envelope)
            if not envelope.seq:  # a timer's: however many are due, the mailbox is read between them
                life.inbox.receive_all()
            driver.current = envelope = None  # an idle actor keeps no message, which may hold much
        wait = life.timers.take_due(pending) if life.timers.line else None
        if life.leaving.if_idle:
            life.stop_if_idle()
        if not pending:
            _take_in_next(life, wait)


def _take_in_next(life: Life, wait: float | None) -> None:
    """Tell what has ended, and take in what arrives; a timer is due in `wait` seconds."""
    if life.outbox.oldest:
        if _gathers(life, wait):
            return
        life.outbox.flush()
    if life.leaving.reason is None and (wait is None or life.channel.readable(wait)):
        life.inbox.receive()


def _gathers(life: Life, wait: float | None) -> bool:
    """Whether something has arrived while what has ended may wait for more; a timer is due in `wait` seconds."""
    lingering = life.outbox.lingers()
    if not lingering or (wait is not None and wait <= lingering) or not life.channel.readable(lingering):
        return False
    life.inbox.receive()
    return True


def _handle(handling: Handling, handler: Handler, method: Work, envelope: Envelope[Message[Any]]) -> None:
    life = handling.life
    life.sync_driver.current = envelope
    handling.begin(envelope, handler, 0)
    try:
        if handler.flows:
            from actors.child.runners.sync_flows import outcome_of_flow  # noqa: PLC0415 - see `beginning.import_needs`

            payload = outcome_of_flow(handling, handler, method, envelope)
            if payload is None:
                return
        else:
            payload = payload_of(life, handler, envelope.kind, method(envelope.message))
    except BaseException as error:
        handling.fail(envelope, handler, error, 0)
    else:
        handling.finish_well(envelope, payload, 0)
