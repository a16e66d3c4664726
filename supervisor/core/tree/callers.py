"""Callers: the calls that wait for one child, each answered once. Pure."""

from __future__ import annotations

from supervisor.core.tree.commands import Answer, CommandBuffer, Verdict


class Callers:
    """The calls that wait for one child.

    Args:
        out: where answers go.

    Attributes:
        start: ticket of the call that waits for the child to be ready, None without one.
        adds: whether that call has added the child, which is deleted when the start fails.
        stops: tickets of calls that wait for it to be down.
        recycles: tickets of calls that wait for its next life.
    """

    __slots__ = ("_out", "adds", "recycles", "start", "stops")

    def __init__(self, out: CommandBuffer) -> None:
        self.start: int | None = None
        self.adds = False
        self.stops: list[int] = []
        self.recycles: list[int] = []
        self._out = out

    @property
    def adding(self) -> bool:
        """Whether the call that added the child still waits for it to be ready."""
        return self.start is not None and self.adds

    def down(self) -> None:
        """The child is down."""
        self._answer(self.stops, Verdict.OK, "")

    def recycled(self) -> None:
        """The next life serves."""
        self._answer(self.recycles, Verdict.OK, "")

    def recycle_failed(self, verdict: Verdict, detail: str) -> None:
        """There is no next life."""
        self._answer(self.recycles, verdict, detail)

    def _answer(self, tickets: list[int], verdict: Verdict, detail: str) -> None:
        for ticket in tickets:
            self._out.say(Answer(ticket, verdict, detail))
        tickets.clear()
