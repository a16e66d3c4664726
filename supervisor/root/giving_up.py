"""Giving up: what a tree that gives up does to the daemon at once, and what comes out of its `async with`.

Runs on the thread of the event loop that entered the tree.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from actors.exits import ExitReport
from supervisor.core.rules.policy import BY_RULE
from supervisor.core.tree.commands import Terminate
from supervisor.errors import RestartIntensityExceeded, StartFailed, below
from supervisor.observe.reports import Reports
from supervisor.root.options import OnGiveUp


class GivingUp:
    """`on_give_up` of one tree, and the body of its `async with`, which that may cancel.

    Args:
        path: of the root.
        on_give_up: as in `Supervisor`.
        reports: of the tree.
        error: makes the error that says why it gave up.
    """

    def __init__(
        self, path: str, on_give_up: OnGiveUp, reports: Reports, error: Callable[[], RestartIntensityExceeded]
    ) -> None:
        self._path = path
        self._on_give_up = on_give_up
        self._reports = reports
        self._error = error
        self._body: asyncio.Task[Any] | None = None  # the task that runs it, until it is left
        self._cancelled: asyncio.Task[Any] | None = None  # the same, from when it was cancelled for this
        self._late = False  # whether that cancellation, or another one, was still to come when the body was left
        self._handling: asyncio.Future[Any] | None = None  # what on_give_up has returned, if that is to be awaited

    def enter(self) -> None:
        """The tree runs, and this task is its body."""
        self._body = asyncio.current_task()

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """The tree has given up. While it is entered or left, nothing is done: those steps report the end."""
        body = self._body
        if body is None:
            return
        if self._on_give_up == "sigterm":
            os.kill(os.getpid(), signal.SIGTERM)
        elif callable(self._on_give_up):
            # a turn later: what it raises, as a SystemExit, breaks off nothing of the tree
            loop.call_soon(self._call, loop, self._on_give_up)
        elif not body.done():  # a task may enter a tree that another one leaves
            self._cancelled = body
            body.cancel()
            self._reports.task_cancelled(self._path)

    async def leave(self, kind: type[BaseException] | None) -> None:
        """The body is left, with that exception; from now on it is not cancelled."""
        self._body = None
        self._late = kind is None and self._cancelled is not None and await _cancelled_now()

    def after_stop(self, kind: type[BaseException] | None, *, given_up: bool) -> None:
        """The tree is down, after a body that was left with that exception.

        Raises:
            RestartIntensityExceeded: it gave up, and the body has raised nothing of its own.
            asyncio.CancelledError: other code has cancelled the task, too.
        """
        cancelled, self._cancelled = self._cancelled, None
        if cancelled is not None:
            if cancelled.uncancel() > 0:  # other code wants the task cancelled, too
                if self._late:
                    raise asyncio.CancelledError
                return
            if kind is None or issubclass(kind, asyncio.CancelledError):
                raise self._error() from None
        elif kind is None and given_up:
            raise self._error()

    def _call(self, loop: asyncio.AbstractEventLoop, on_give_up: Callable[[RestartIntensityExceeded], object]) -> None:
        try:
            returned = on_give_up(self._error())
        except Exception as error:
            self._raised(loop, error)
        else:
            if isinstance(returned, Awaitable):
                self._handling = asyncio.ensure_future(returned)
                self._handling.add_done_callback(self._handled)

    def _handled(self, handling: asyncio.Future[Any]) -> None:
        error = None if handling.cancelled() else handling.exception()
        if error is not None:
            self._raised(handling.get_loop(), error)

    def _raised(self, loop: asyncio.AbstractEventLoop, error: BaseException) -> None:
        loop.call_exception_handler({"message": f"on_give_up of {self._path} raised", "exception": error})


def exceeded(path: str, end: Terminate | None, report: ExitReport | None) -> RestartIntensityExceeded:
    """Why a tree gave up, and what to do.

    Args:
        path: of the root.
        end: how it ended; None while it is ending.
        report: of the last child to end.
    """
    last = "" if report is None else f"; the last to end: {report.actor}, {report.reason}{below(report)}"
    why = f"gave up: {'' if report is None else report.because}" if end is None else end.reason.detail
    return RestartIntensityExceeded(f"{path} {why}{last}{_remedy(report)}", report)


def not_started(path: str, end: Terminate, report: ExitReport | None) -> StartFailed:
    """Why a tree did not start, with the cause of the death for which it gave up, where it did.

    Args:
        path: of the root.
        end: how it ended.
        report: of the last child to end.
    """
    who = f"{path}/{end.failed}" if end.failed else path
    why = str(end.reason)
    if end.reason.gave_up and report is not None:
        own = "" if report.reason.gave_up else f"; {end.reason.detail}"
        why = f"{report.reason}{own}"
    return StartFailed(f"{who} did not start: {why}", report)


def _remedy(report: ExitReport | None) -> str:
    """What to do about lives that end because of the messages they get."""
    if report is None or not report.last_message_failed:
        return ""
    if report.because.startswith(BY_RULE):  # its author has decided that it shall escalate
        return ""
    return (
        ". An exception in a handler ends the life: raise Rejected for input that is to be refused, set "
        'on_error = "reply" in the actor class, or raise the intensity'
    )


async def _cancelled_now() -> bool:
    """Whether this task was cancelled since it last waited; if so, the cancellation is consumed."""
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        return True
    return False
