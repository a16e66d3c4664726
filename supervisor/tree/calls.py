"""Calls: the requests to one supervision machine that wait for their answers.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from itertools import count

from actors.exits import ExitReport
from supervisor.core.tree.commands import Answer
from supervisor.specs import AnySpec


class Call:
    """One request.

    Attributes:
        ticket: its number.
        spec: the spec of what it adds, None when it adds nothing.
        failure: the first report of an end that was not asked for, of a child that it starts.
    """

    def __init__(self, ticket: int, answer: asyncio.Future[Answer], spec: AnySpec | None) -> None:
        self.ticket = ticket
        self.spec = spec
        self.failure: ExitReport | None = None
        self._answer = answer

    async def answer(self) -> Answer:
        """The answer; a caller that is cancelled leaves the request as it is."""
        return await asyncio.shield(self._answer)

    def answered(self, answer: Answer) -> None:
        """The machine has answered."""
        if not self._answer.done():
            self._answer.set_result(answer)


class Calls:
    """The requests to one machine.

    Attributes:
        waiting: those that it has not answered yet, by ticket.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._numbers = count(1)
        self.waiting: dict[int, Call] = {}

    def new(self, spec: AnySpec | None = None) -> Call:
        """A new request."""
        call = Call(next(self._numbers), self._loop.create_future(), spec)
        self.waiting[call.ticket] = call
        return call

    def spec_of(self, ticket: int) -> AnySpec:
        """The spec of what a request adds.

        Raises:
            AssertionError: it adds nothing.
        """
        spec = self.waiting[ticket].spec
        if spec is None:
            raise AssertionError(f"call {ticket} adds no child")
        return spec

    def failed(self, spec: AnySpec, report: ExitReport) -> None:
        """A child of this spec has ended, and was not asked to."""
        for call in self.waiting.values():
            if call.spec is spec and call.failure is None:
                call.failure = report

    def answered(self, answer: Answer) -> None:
        """The machine has answered a request."""
        call = self.waiting.pop(answer.ticket, None)
        if call is not None:
            call.answered(answer)
