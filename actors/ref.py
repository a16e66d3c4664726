"""ActorRef: an address one may send to; it stays valid over every restart of the actor behind it.

Law: this file says what sending means; how it is done belongs to the side that sends (`supervisor.mailbox` in the
     daemon, `actors.post` in an actor's process).
May import: errors, messages.

A ref may be a field of a message or of a reply: it travels as its path and is bound again where it arrives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final, Literal, TypeVar

from actors.errors import UsageError
from actors.messages import Message, Terminated

R = TypeVar("R")

ASK_TIMEOUT: Final = 5.0  # seconds; OTP's gen_server call waits as long

WhenDown = Literal["wait", "fail"]


class ActorRef(ABC):
    """Where to send messages for one actor (or one pool of them).

    In the daemon its methods run on the thread of the supervisor's event loop; in an actor, inside its handlers.
    """

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path: Final = path

    @abstractmethod
    async def ask(self, message: Message[R], *, timeout: float | None = ASK_TIMEOUT, when_down: WhenDown = "wait") -> R:
        """Send `message` and wait for its reply.

        While the actor is being restarted the message waits in the mailbox (`when_down="wait"`), or the ask ends
        at once (`"fail"`). Cancelling takes the message back when its handler has not begun; a running handler's
        reply is dropped.

        Args:
            message: what to send.
            timeout: seconds to wait for room in the mailbox and for the reply together; None waits for ever.
            when_down: what to do while the actor has no running process.

        Raises:
            UsageError: the actor does not handle this message, or a field has the wrong type. Nothing was sent.
            AskTimeout: no reply in time.
            HandlerError: the handler raised.
            Rejected: the handler refused.
            ActorCrashed: the process died with this message in its hands.
            ActorStopped: the actor is down for good.
        """

    @abstractmethod
    async def tell(self, message: Message[Any]) -> None:
        """Send `message` without waiting for its reply; waits while the mailbox is full.

        Raises:
            UsageError: the actor does not handle this message, or a field has the wrong type.
            ActorStopped: the actor is down for good.
        """

    @abstractmethod
    def tell_nowait(self, message: Message[Any]) -> None:
        """Send `message` at once or not at all.

        Raises:
            MailboxFull: there is no room; nothing was sent. (From inside an actor the mailbox is out of sight: there
                a full mailbox makes a dead letter instead.)
            UsageError: the actor does not handle this message, or a field has the wrong type.
            ActorStopped: the actor is down for good.
        """

    @abstractmethod
    async def terminated(self) -> Terminated:
        """Wait until the actor is down for good, and say why; at once when it is already, or when nobody has the path.

        A restart is not an end: the ref stays valid over it.
        """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorRef) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"<ActorRef {self.path}>"


class UnboundRef(ActorRef):
    """An address that arrived where no supervisor is at hand to send through; `root[ref.path]` binds it."""

    __slots__ = ()

    async def ask(self, message: Message[R], *, timeout: float | None = ASK_TIMEOUT, when_down: WhenDown = "wait") -> R:
        """Refused."""
        raise self._unbound(message, timeout, when_down)

    async def tell(self, message: Message[Any]) -> None:
        """Refused."""
        raise self._unbound(message)

    def tell_nowait(self, message: Message[Any]) -> None:
        """Refused."""
        raise self._unbound(message)

    async def terminated(self) -> Terminated:
        """Refused."""
        raise self._unbound()

    def _unbound(self, *sent: object) -> UsageError:
        del sent
        return UsageError(f"the ref of {self.path} is not bound to a supervisor here; send through root[{self.path!r}]")
