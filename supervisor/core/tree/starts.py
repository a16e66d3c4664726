"""Starts: the calls that start children. What a call has added becomes ready as a whole, or is deleted again. Pure."""

from __future__ import annotations

from supervisor.core.terms import ChildTerms
from supervisor.core.tree.child import Child, StopCause
from supervisor.core.tree.commands import AddChild, Answer, Verdict
from supervisor.core.tree.supervision import Supervision

UNDONE = "the call that added it was undone"


class Starts:
    """The calls that start children of one supervisor."""

    def __init__(self, supervision: Supervision) -> None:
        self._it = supervision
        self._undone: dict[int, list[Answer]] = {}  # answers for when all that a call has added is gone, by its ticket

    def add(self, ticket: int, members: tuple[ChildTerms, ...]) -> None:
        """Add these children and start them."""
        added = [Child(terms, self._it.out, ticket) for terms in members]
        for child in added:
            self._it.children[child.name] = child
            self._it.out.say(AddChild(child.name, ticket))
        for child in added:
            self.start(ticket, child)

    def start(self, ticket: int, child: Child) -> None:
        """Start a child for a call."""
        child.callers.start = ticket
        child.callers.adds = child.added_by == ticket
        child.attempt = 0
        child.start()

    def ready(self, child: Child) -> None:
        """A child is ready; the call is answered when all its children are."""
        ticket, child.callers.start = child.callers.start, None
        if ticket is not None and all(other.callers.start != ticket for other in self._it.children.values()):
            self._it.out.say(Answer(ticket, Verdict.OK))

    def failed(self, child: Child, detail: str) -> None:
        """The start that a call waits for has failed; what else it has added is deleted before it is answered."""
        ticket, child.callers.start = child.callers.start, None
        if ticket is not None:
            self._undo(ticket, Answer(ticket, Verdict.START_FAILED, detail))

    def undo(self, ticket: int, start: int) -> None:
        """Delete what a call has added."""
        if any(child.callers.start == start for child in self._added(start)):
            self._it.out.say(Answer(start, Verdict.START_FAILED, UNDONE))
        self._undo(start, Answer(ticket, Verdict.OK))

    def undone(self, child: Child) -> None:
        """A child of an undone call is down: delete it."""
        self.failed(child, UNDONE)  # where another call has started it again
        child.callers.down()
        self.forget(child, UNDONE)

    def forget(self, child: Child, because: str) -> None:
        """Delete a child; if it is the last that an undone call has added, answer."""
        self._it.forget(child, because)
        if child.added_by in self._undone and not self._added(child.added_by):
            for answer in self._undone.pop(child.added_by):
                self._it.out.say(answer)

    def end(self, child: Child, because: str) -> None:
        """The supervisor ends: answer the call that waits for the start of this child."""
        ticket = child.callers.start
        if ticket is None:
            return
        self._it.out.say(Answer(ticket, Verdict.STOPPING, because))
        for other in self._it.children.values():
            if other.callers.start == ticket:
                other.callers.start = None

    def end_undone(self) -> None:
        """The supervisor ends, and with it all that undone calls have added: answer those who wait for that."""
        for answers in self._undone.values():
            for answer in answers:
                self._it.out.say(answer)
        self._undone.clear()

    def _undo(self, start: int, answer: Answer) -> None:
        added = self._added(start)
        if not added:
            self._it.out.say(answer)
            return
        self._undone.setdefault(start, []).append(answer)
        for child in reversed(added):
            if child.callers.start == start:
                child.callers.start = None
            if child.alive:
                child.stop(StopCause.UNDO)
            else:
                self._it.plans.drop(child.name)
                child.give_up_waiting()
                self.undone(child)

    def _added(self, ticket: int) -> list[Child]:
        return [child for child in self._it.children.values() if child.added_by == ticket]
