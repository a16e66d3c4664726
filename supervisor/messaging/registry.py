"""Registry: which mailbox has which path.

Owned by one tree, not global; a name outlives every life of its actor.

Runs on the loop's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from actors.bounds import shown
from actors.errors import NoSuchActor, UsageError
from actors.lazy import LazyModule
from actors.ref import ActorRef, UnboundRef
from supervisor.mailbox.intake.checks import within
from supervisor.mailbox.mailbox import Mailbox
from supervisor.messaging.no_methods import without_methods
from supervisor.messaging.refs import MailboxRef

if TYPE_CHECKING:
    import difflib
else:
    difflib = LazyModule("difflib")

MAX_PATH: Final = 200  # characters of an unknown path that an error repeats
HINTS_SHARE: Final = 20  # searching for similar names takes at most one part in this many of the loop's time,
HINTS_AT_ONCE: Final = 0.05  # and seconds at once: an actor that asks for unknown names delays no other


class Registry:
    """The names of one tree.

    Attributes:
        other: says what else has a path that is no mailbox's, as `a task`; None where nothing has.
    """

    def __init__(self) -> None:
        self.other: Callable[[str], str | None] = lambda _: None
        self._mailboxes: dict[str, Mailbox] = {}
        self._visitors: list[Callable[[Mailbox], None]] = []
        self._draining: list[str] = []  # parts; one that is drained by two calls is there twice
        self._hints_spent = 0.0  # seconds
        self._hinted = 0.0

    def add(self, path: str, mailbox: Mailbox) -> None:
        """Give a mailbox its path."""
        self._mailboxes[path] = mailbox
        for visit in self._visitors:
            visit(mailbox)
        if self._draining:
            self._tell_of_drains()

    def each(self, visit: Callable[[Mailbox], None]) -> None:
        """Call `visit` with each mailbox, and with each that comes later."""
        self._visitors.append(visit)
        for mailbox in self._mailboxes.values():
            visit(mailbox)

    def remove(self, path: str, mailbox: Mailbox) -> None:
        """Remove a path, if it still belongs to that mailbox."""
        if self._mailboxes.get(path) is mailbox:
            del self._mailboxes[path]

    def get(self, path: str) -> Mailbox | None:
        """The mailbox of a path, or None."""
        return self._mailboxes.get(path)

    def find(self, path: str) -> Mailbox:
        """The mailbox of a path.

        Raises:
            NoSuchActor: no actor has it; the text says what else has it, or lists similar names.
        """
        mailbox = self._mailboxes.get(path)
        if mailbox is None:
            raise NoSuchActor(self._what_it_is(path))
        return mailbox

    def ref(self, path: str) -> ActorRef:
        """The ref of a path that arrived in a message; unbound when no actor has the path."""
        mailbox = self._mailboxes.get(path)
        return UnboundRef(path) if mailbox is None else without_methods(MailboxRef, mailbox.protocol.actor)(mailbox)

    def path_of(self, ref: ActorRef) -> str:
        """The path of a ref that is sent to an actor of the tree.

        Raises:
            UsageError: it is a ref of another tree; where the path arrives it would mean none, or another actor.
        """
        if isinstance(ref, MailboxRef) and ref.mailbox.path_of != self.path_of:
            raise UsageError(
                f"the ref of {ref.path} is of another tree, and an actor reaches those of its own tree alone. Put both "
                f"into one tree, or let the daemon pass the messages on"
            )
        return ref.path

    def shut_down(self) -> None:
        """The tree has ended."""
        for mailbox in self._mailboxes.values():
            mailbox.shut_down()

    def mailboxes(self, part: str) -> list[Mailbox]:
        """The mailboxes of one part of the tree: an actor, a pool, or everything below a supervisor."""
        return [mailbox for path, mailbox in self._mailboxes.items() if within(path, part)]

    @contextmanager
    def draining(self, part: str) -> Iterator[None]:
        """Meanwhile a part of the tree, what is added included, takes no new messages, except those of actors in it."""
        self._draining.append(part)
        self._tell_of_drains()
        try:
            yield
        finally:
            self._draining.remove(part)
            self._tell_of_drains()

    def drains(self, part: str) -> bool:
        """Whether a part is being drained by itself."""
        return part in self._draining

    def drained(self, path: str) -> bool:
        """Whether a path is in a part that is being drained."""
        return any(within(path, part) for part in self._draining)

    def _tell_of_drains(self) -> None:
        for path, mailbox in self._mailboxes.items():
            mailbox.intake.drain(*(part for part in self._draining if within(path, part)))

    def paths(self) -> list[str]:
        """All paths, in the order in which they came."""
        return list(self._mailboxes)

    def _what_it_is(self, path: str) -> str:
        try:
            other = self.other(path)
        except OSError:  # what looks could not be imported: no descriptors are left
            other = None
        return self._unknown(path) if other is None else f"{path} is {other}"

    def _unknown(self, path: str) -> str:
        began = time.perf_counter()
        self._hints_spent = max(0.0, self._hints_spent - (began - self._hinted) / HINTS_SHARE)
        self._hinted = began
        said = f"no actor has the path {path[:MAX_PATH] if path.isprintable() else shown(path)}"
        if len(path) > MAX_PATH or self._hints_spent > HINTS_AT_ONCE:
            return said
        try:
            near = difflib.get_close_matches(path, self._mailboxes, n=3, cutoff=0.5)
        except OSError:  # it could not be imported: no descriptors are left
            near = []
        known = near or sorted(self._mailboxes)[:10]
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known) or 'none'}"
        self._hints_spent += time.perf_counter() - began
        return f"{said}; {hint}"


def absolute(root: str, name: str) -> str:
    """The path of an actor by its name below the root, or by its path."""
    return name if name.startswith("/") else f"{root}/{name}"
