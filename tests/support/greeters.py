"""A durable actor that tells another one of its start and its end."""

from __future__ import annotations

from actors import Actor, ExitReason
from tests.support.ledgers import Charge, Ledger


class Greeter(Ledger):
    """With a state."""

    def on_start(self) -> None:
        self.context.actor("ledger").tell_nowait(Charge(1, "start"))

    def on_stop(self, reason: ExitReason) -> None:
        self.context.actor("ledger").tell_nowait(Charge(1, "stop"))


class Passerby(Actor):
    """Without one, and without a message that it handles."""

    on_start = Greeter.on_start
    on_stop = Greeter.on_stop
